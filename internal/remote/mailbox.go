package remote

import (
	"context"
	"io"
	"sync"

	"github.com/reasond/reasond/internal/llm"
)

// stream is an accepted request: the reader puts deltas in, Recv takes them
// out. It implements llm.Stream. Its law: every choice gets exactly one Finish,
// as its last delta, whoever is first: the upstream, Stop, Close or a fault.
type stream struct {
	cancel context.CancelCauseFunc // ends the upstream request
	wake   chan struct{}           // something is in the box
	room   chan struct{}           // the box was emptied

	mu      sync.Mutex
	box     []llm.Delta
	size    int // bytes of box, roughly
	choices []choice
	left    int        // choices without a Finish in the box
	held    *llm.Delta // the last choice's last delta, until the usage is known
}

// choice is what is known about one choice.
type choice struct {
	ended  bool  // its Finish is in the box, or held
	ids    bool  // the upstream sends its token ids: they count, its text does not
	last   int32 // the last token id; -1
	tokens int   // counted by the upstream so far
}

func newStream(n int, cancel context.CancelCauseFunc) *stream {
	s := &stream{cancel: cancel, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), choices: make([]choice, n), left: n}
	for i := range s.choices {
		s.choices[i].last = -1
	}
	return s
}

func (s *stream) Recv(ctx context.Context) ([]llm.Delta, error) {
	for {
		s.mu.Lock()
		box, left := s.box, s.left
		s.box, s.size = nil, 0
		s.mu.Unlock()
		if len(box) > 0 {
			signal(s.room)
			return box, nil
		}
		if left == 0 {
			return nil, io.EOF
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Stop ends one choice at once; the upstream request ends with the last one.
func (s *stream) Stop(c int, match string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil && s.held.Choice == c {
		s.held = nil
	} else if s.choices[c].ended {
		return
	}
	s.deliver(llm.Delta{Choice: c, Finish: &llm.Finish{Reason: llm.FinishStop, StopID: -1, StopText: match}})
	if s.left == 0 {
		s.cancel(errComplete)
	}
}

func (s *stream) Close() { s.cancel(errClosed) }

// put takes a delta in from the upstream. What comes for a choice that has
// ended is dropped. The last choice's Finish is held back for the usage.
func (s *stream) put(d llm.Delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.choices[d.Choice].ended:
	case d.Finish != nil && s.left == 1:
		s.choices[d.Choice].ended = true
		s.held = &d
	default:
		s.deliver(d)
	}
}

// settle delivers the held Finish; usage may be nil.
func (s *stream) settle(usage *llm.Usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return
	}
	d := *s.held
	s.held = nil
	if d.Finish.Usage = usage; usage != nil {
		d.Finish.Cached = usage.Cached
	}
	s.deliver(d)
}

// fail ends whatever has not ended; what was held back has been settled.
func (s *stream) fail(reason llm.FinishReason, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.choices {
		if !s.choices[c].ended {
			s.deliver(llm.Delta{Choice: c, Finish: &llm.Finish{Reason: reason, StopID: -1, Err: err}})
		}
	}
}

// deliver puts a delta into the box; mu is held.
func (s *stream) deliver(d llm.Delta) {
	if d.Finish != nil {
		s.choices[d.Choice].ended = true
		s.left--
	}
	s.box = append(s.box, d)
	s.size += 64 + len(d.Text) + 4*len(d.IDs) + 64*len(d.Logprobs)
	signal(s.wake)
}

// answered reports whether every choice has ended, and full whether the reader
// has to wait for Recv.
func (s *stream) state(limit int) (answered, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left == 0 || s.held != nil, s.size > limit && s.left > 0
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
