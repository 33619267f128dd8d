package scripted

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/reasond/reasond/internal/engine/bell"
	"github.com/reasond/reasond/internal/llm"
)

// stream is an append-only mailbox with a wake-up.
type stream struct {
	ready   bell.Bell
	cancel  context.CancelFunc
	choices int

	mu      sync.Mutex
	left    int // choices without a Finish
	box     []llm.Delta
	lent    []llm.Delta    // what the last Recv returned
	stopped map[int]string // choices, in which the pipeline found this stop string
	times   llm.Times      // all but Ended
}

func (s *stream) Recv(ctx context.Context) ([]llm.Delta, error) {
	for {
		box, left := s.take()
		if len(box) > 0 {
			return box, nil
		}
		if left == 0 {
			s.ready.Forget()
			return nil, io.EOF
		}
		if err := s.ready.Wait(ctx); err != nil {
			return nil, err
		}
	}
}

// take empties the box and says how many choices have no Finish yet.
func (s *stream) take() (box []llm.Delta, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	box = s.box
	if len(box) > 0 {
		clear(s.lent)
		s.box, s.lent = s.lent[:0], box
	}
	return box, s.left
}

func (s *stream) Stop(c int, match string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped == nil {
		s.stopped = map[int]string{}
	}
	s.stopped[c] = match
}

// stop is the stop string that was found in a choice.
func (s *stream) stop(c int) (match string, stopped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	match, stopped = s.stopped[c]
	return match, stopped
}

func (s *stream) Close() { s.cancel() }

// begin notes that the request has its slot.
func (s *stream) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times.Begun = time.Now()
}

// push adds what a step gave, unless the choice was stopped.
func (s *stream) push(d llm.Delta) (match string, stopped bool) {
	s.mu.Lock()
	if match, stopped = s.stopped[d.Choice]; !stopped {
		if s.times.First.IsZero() {
			s.times.First = time.Now()
		}
		s.box = append(s.box, d)
	}
	s.mu.Unlock()
	s.ready.Ring()
	return match, stopped
}

// finish ends a choice; the token that ended it comes along, as from a model.
func (s *stream) finish(c int, fin llm.Finish) {
	d := llm.Delta{Choice: c, Finish: &fin}
	if fin.StopID >= 0 {
		d.IDs = []int32{fin.StopID}
	}
	s.mu.Lock()
	fin.Times = s.times
	fin.Times.Ended = time.Now()
	s.left--
	s.box = append(s.box, d)
	s.mu.Unlock()
	s.ready.Ring()
}

func (s *stream) finishAll(fin llm.Finish) {
	for c := range s.choices {
		s.finish(c, fin)
	}
}
