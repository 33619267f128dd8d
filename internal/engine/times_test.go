package engine

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// A finish says when its request was taken, begun, first sampled for and ended:
// in this order, and with the first step's length between the second and the
// third. A choice ended by a stop string says so too.
func TestFinishesTellTheTimesOfTheirRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		be := newFake(t, small())
		const long = 20 * time.Millisecond
		be.forward = func(step int) error {
			if step <= 1 {
				time.Sleep(long)
			}
			return nil
		}
		e := start(t, be, nil)
		p := greedy(50)
		p.IgnoreEOS = true
		req := newReq(prompt(1, 5), p)
		req.N = 2
		before := time.Now()
		s := submit(t, e, req)
		for begun := false; !begun; { // a choice that is stopped before has no first token
			deltas, err := s.Recv(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			begun = slices.ContainsFunc(deltas, func(d llm.Delta) bool { return d.Choice == 1 })
		}
		s.Stop(1, "match")
		for i, a := range receive(t, s, req.N) {
			at := a.finish.Times
			order := []time.Time{before, at.Accepted, at.Begun, at.First, at.Ended, time.Now()}
			for k := 1; k < len(order); k++ {
				if order[k].Before(order[k-1]) {
					t.Errorf("choice %d: %d comes before %d: %+v", i, k, k-1, at)
				}
			}
			if at.First.Sub(at.Begun) < long || at.Begun.Sub(at.Accepted) >= long {
				t.Errorf("choice %d: the first step took %v, and the queue %v", i, at.First.Sub(at.Begun), at.Begun.Sub(at.Accepted))
			}
		}
		if e.Stats().PageTokens == 0 {
			t.Error("a page holds no tokens")
		}
		settled(t, e)
	})
}

// Who never ran has no time of it.
func TestAFinishWithoutAStepHasNoTimeOfOne(t *testing.T) {
	s := newStream(1, func(messageKind, int) {})
	s.finish(0, llm.Finish{Reason: llm.FinishAbort})
	got, err := s.Recv(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if at := got[0].Finish.Times; !at.Begun.IsZero() || !at.First.IsZero() || at.Accepted.IsZero() || at.Ended.IsZero() {
		t.Errorf("%+v", at)
	}
}
