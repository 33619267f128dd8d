package ranks_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/ranks"
	"github.com/reasond/reasond/internal/weights"
)

// fake is a rank whose forward meets the others. What a test makes it do comes
// first.
type fake struct {
	backend.Backend
	rank    int
	meeting *ranks.Meeting
	batch   backend.Batch
	bound   []int
	closed  atomic.Bool
	aborted atomic.Bool

	forward func() error
	sample  func(*backend.Batch)
	hold    chan struct{} // an abort does not reach it
	close   func()
}

func (f *fake) Info() backend.Info {
	return backend.Info{Name: "fake", Vocab: 10, Pages: 7 + f.rank, WeightBytes: 100}
}
func (f *fake) Batch() *backend.Batch            { return &f.batch }
func (f *fake) Sync() error                      { return nil }
func (f *fake) Abort()                           { f.aborted.Store(true); f.meeting.Abort() }
func (f *fake) LogitsRow([]float32, int) error   { return nil }
func (f *fake) SetSlot(slot int, _ backend.Slot) { f.bound = append(f.bound, slot) }

func (f *fake) Forward() error {
	if f.hold != nil {
		<-f.hold
	}
	if f.forward != nil {
		if err := f.forward(); err != nil {
			return err
		}
	}
	return f.meeting.Meet(f.rank, nil, func([]any) {})
}

func (f *fake) Sample() error {
	for i, s := range f.batch.Samples {
		f.batch.Sampled[i] = backend.Sampled{Token: s.Slot + 10*s.Pos}
	}
	if f.sample != nil {
		f.sample(&f.batch)
	}
	return nil
}

func (f *fake) Close() error {
	if f.close != nil {
		f.close()
	}
	if f.closed.Swap(true) {
		panic("closed twice")
	}
	return nil
}

func group(n int) (*ranks.Group, []*fake) {
	meeting := ranks.NewMeeting(n)
	var fakes []*fake
	var all []backend.Backend
	for i := range n {
		f := &fake{rank: i, meeting: meeting, batch: backend.Batch{
			Token: make([]int32, 0, 8), Pos: make([]int32, 0, 8), Seq: make([]int32, 0, 8), Pages: make([]int32, 0, 8),
			Seqs: make([]backend.Seq, 0, 4), Copies: make([]backend.Copy, 0, 4), LogitRows: make([]int32, 0, 4),
			Samples: make([]backend.Sample, 0, 4), Sampled: make([]backend.Sampled, 0, 4), Masks: make([]uint32, 0, 4), MaskWords: 1,
		}}
		fakes, all = append(fakes, f), append(all, f)
	}
	return ranks.New(all), fakes
}

func step(g *ranks.Group) error {
	b := g.Batch()
	b.Rows, b.Token, b.Pages = 2, append(b.Token[:0], 5, 6), append(b.Pages[:0], 3)
	b.Samples = append(b.Samples[:0], backend.Sample{Slot: 1, Pos: 2}, backend.Sample{Slot: 3, Pos: 4})
	b.Sampled, b.Masks = b.Sampled[:2], b.Masks[:2]
	for _, run := range []func() error{g.Forward, g.Sample, g.Sync} {
		if err := run(); err != nil {
			return err
		}
	}
	return nil
}

// Law: every rank sees the step that the first one was given, slots included.
func TestEveryRankGetsTheStep(t *testing.T) {
	g, fakes := group(3)
	defer g.Close()
	g.SetSlot(3, backend.Slot{})
	g.SetSlot(1, backend.Slot{})
	for range 2 {
		if err := step(g); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprint(fakes[0].batch, fakes[0].bound)
	for _, f := range fakes {
		if got := fmt.Sprint(f.batch, f.bound); got != want || len(f.bound) != 2 || f.bound[0] != 3 {
			t.Errorf("rank %d:\n got %s\nwant %s", f.rank, got, want)
		}
	}
	if i := g.Info(); i.Pages != 7 || i.WeightBytes != 300 || i.Vocab != 10 || len(g.Ranks()) != 3 {
		t.Errorf("%+v", i)
	}
}

// Law: masks may be written while the ranks run their forward (for the race
// detector), and all of them sample with what was written.
func TestMasksAreWrittenDuringTheForward(t *testing.T) {
	g, fakes := group(2)
	defer g.Close()
	begun := make(chan struct{})
	var wrote sync.WaitGroup
	fakes[0].forward = func() error { close(begun); wrote.Wait(); return nil }
	b := g.Batch()
	b.Guided = true
	b.Samples, b.Sampled, b.Masks = append(b.Samples[:0], backend.Sample{}), b.Sampled[:1], b.Masks[:1]
	wrote.Go(func() {
		<-begun
		b.Samples[0].Masked = true
		b.Masks[0] = 12
	})
	if err := g.Forward(); err != nil {
		t.Fatal(err)
	}
	if err := g.Sample(); err != nil {
		t.Fatal(err)
	}
	for _, f := range fakes {
		if !f.batch.Samples[0].Masked || f.batch.Masks[0] != 12 {
			t.Errorf("rank %d: %+v, mask %d", f.rank, f.batch.Samples[0], f.batch.Masks[0])
		}
	}
}

// Law: where no mask is made for a step, the ranks are called once, at its end;
// else their forward begins at once.
func TestAPlainStepIsHeldBack(t *testing.T) {
	g, fakes := group(2)
	defer g.Close()
	var runs atomic.Int64
	for _, f := range fakes {
		f.forward = func() error { runs.Add(1); return nil }
	}
	for _, guided := range []bool{false, true, false} {
		runs.Store(0)
		g.Batch().Guided = guided
		g.SetSlot(2, backend.Slot{})
		if err := g.Forward(); err != nil {
			t.Fatal(err)
		}
		if got := runs.Load() > 0; got != guided {
			t.Errorf("guided=%v: the forward runs: %v", guided, got)
		}
		for _, run := range []func() error{g.Sample, g.Sync} {
			if err := run(); err != nil {
				t.Fatal(err)
			}
		}
		if runs.Load() != 2 {
			t.Errorf("guided=%v: %d forwards of two ranks", guided, runs.Load())
		}
	}
	if len(fakes[1].bound) != 3 {
		t.Errorf("slots bound: %v", fakes[1].bound)
	}
	runs.Store(0)
	if err := g.Forward(); err != nil || g.LogitsRow(nil, 0) != nil || runs.Load() != 2 {
		t.Errorf("logits without Sync: %v, %d forwards", err, runs.Load())
	}
}

// Law: what all refuse alike, a bad batch, is an error of that step.
func TestWhatAllRefuseIsOneStepsError(t *testing.T) {
	g, fakes := group(3)
	defer g.Close()
	bad := errors.New("bad batch")
	for _, f := range fakes {
		f.forward = func() error { return bad }
	}
	if err := step(g); !errors.Is(err, bad) || errors.Is(err, backend.ErrLost) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	for _, f := range fakes {
		f.forward = nil
	}
	if err := step(g); err != nil {
		t.Errorf("the next step: %v", err)
	}
}

// Law: ranks that sampled different tokens fail the step and no other.
func TestRanksThatDisagreeFailTheStep(t *testing.T) {
	g, fakes := group(3)
	defer g.Close()
	fakes[2].sample = func(b *backend.Batch) { b.Sampled[1].Token++ }
	if err := step(g); err == nil || errors.Is(err, backend.ErrLost) || !strings.Contains(err.Error(), "ranks 0 and 2: sample 1 is token 43 for one and 44 for the other") {
		t.Errorf("%v", err)
	}
	fakes[2].sample = nil
	if err := step(g); err != nil {
		t.Errorf("the next step: %v", err)
	}
}

// Law: where one fails the others are freed from waiting, the group is lost and
// says so from then on, and closes.
func TestOneRanksFailureLosesTheGroup(t *testing.T) {
	fault := errors.New("illegal address")
	for name, fail := range map[string]func() error{
		"error": func() error { return fault },
		"lost":  func() error { return fmt.Errorf("%w: %w", backend.ErrLost, fault) },
		"panic": func() error { panic(fault) },
	} {
		for victim := range 3 {
			synctest.Test(t, func(t *testing.T) {
				g, fakes := group(3)
				if err := step(g); err != nil {
					t.Fatal(err)
				}
				fakes[victim].forward = fail
				began := time.Now()
				err := step(g)
				if took := time.Since(began); took > 0 && name == "lost" {
					t.Errorf("a lost rank's group is waited for %v", took)
				}
				if !errors.Is(err, backend.ErrLost) || !strings.Contains(err.Error(), fmt.Sprintf("rank %d of 3", victim)) || !strings.Contains(err.Error(), "illegal address") {
					t.Errorf("%s in rank %d: %v", name, victim, err)
				}
				fakes[victim].forward = nil
				if again := step(g); !errors.Is(again, backend.ErrLost) {
					t.Errorf("%s: the next step: %v", name, again)
				}
				if err := g.Close(); err != nil {
					t.Errorf("%s: Close: %v", name, err)
				}
				for _, f := range fakes {
					if !f.closed.Load() {
						t.Errorf("%s: rank %d is open", name, f.rank)
					}
				}
			})
		}
	}
}

// Law: also ranks that came back are aborted: what they have enqueued may wait for
// the one that failed.
func TestRanksThatCameBackAreAbortedToo(t *testing.T) {
	g, fakes := group(3)
	defer g.Close()
	fakes[1].sample = func(*backend.Batch) { panic("fault") }
	if err := step(g); !errors.Is(err, backend.ErrLost) {
		t.Error(err)
	}
	for _, f := range fakes {
		if !f.aborted.Load() {
			t.Errorf("rank %d is not aborted", f.rank)
		}
	}
}

// Law: a rank that never comes back holds nobody for ever.
func TestARankThatNeverComesBackIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, fakes := group(3)
		fakes[1].hold = make(chan struct{})
		fakes[2].forward = func() error { return errors.New("fault") }
		began := time.Now()
		if err := step(g); !errors.Is(err, backend.ErrLost) || !strings.Contains(err.Error(), "1 ranks do not come back") {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("after %v", took)
		}
		if err := g.Close(); err == nil || !strings.Contains(err.Error(), "rank 1 of 3 does not come back") {
			t.Errorf("Close: %v", err)
		}
		close(fakes[1].hold)
		if !fakes[0].closed.Load() || fakes[1].closed.Load() || !fakes[2].closed.Load() {
			t.Error("the ranks that came back are open, or the other is closed")
		}
	})
}

// Law: a rank that was given up and comes back while the others close is closed, and
// is not taken for one of them.
func TestARankThatComesBackLateIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, fakes := group(3)
		fakes[1].hold = make(chan struct{})
		fakes[2].forward = func() error { return errors.New("fault") }
		if err := step(g); !errors.Is(err, backend.ErrLost) {
			t.Errorf("%v", err)
		}
		fakes[0].close = func() {
			close(fakes[1].hold)
			time.Sleep(time.Second)
		}
		if err := g.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for _, f := range fakes {
			if !f.closed.Load() {
				t.Errorf("rank %d is open", f.rank)
			}
		}
	})
}

// Law: each rank loads its own share, all at once.
func TestRanksLoadAtOnce(t *testing.T) {
	g, _ := group(3)
	defer g.Close()
	together := ranks.NewMeeting(3)
	var seen [3]atomic.Bool
	err := g.Load(func(b backend.Backend, sh weights.Shard) error {
		seen[sh.Rank].Store(sh.Size == 3 && b.(*fake).rank == sh.Rank)
		return together.Meet(sh.Rank, nil, func([]any) {})
	})
	if err != nil || !seen[0].Load() || !seen[1].Load() || !seen[2].Load() {
		t.Errorf("%v", err)
	}
	if _, err := g.NewVector(weights.Tensor{}); err == nil {
		t.Error("the group took a vector")
	}
}

func TestAStepAllocatesNothing(t *testing.T) {
	g, _ := group(2)
	defer g.Close()
	if n := testing.AllocsPerRun(50, func() {
		if err := step(g); err != nil {
			t.Fatal(err)
		}
	}); n > 2 { // step's own list
		t.Errorf("%v allocations a step", n)
	}
}
