package dispatch

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// stream is a member's stream, seen on its way: the dispatcher counts what is
// under way, and a member that stalls holds nobody, as the others go on and the
// server does not notice.
type stream struct {
	llm.Stream
	e      *Engine
	member int

	mu     sync.Mutex
	ended  []bool // per choice: its finish was returned by Recv
	open   int    // choices counted as under way
	cut    bool   // finishes were made up here: nothing more is passed on
	unhook func() bool
}

func (e *Engine) accepted(ctx context.Context, member, choices int, of llm.Stream) *stream {
	s := &stream{Stream: of, e: e, member: member, ended: make([]bool, choices), open: choices}
	unhook := context.AfterFunc(ctx, s.leave)
	s.mu.Lock()
	s.unhook = unhook
	s.mu.Unlock()
	return s
}

// Recv implements llm.Stream.
func (s *stream) Recv(ctx context.Context) ([]llm.Delta, error) {
	if s.isCut() {
		return nil, io.EOF
	}
	got, err := s.Stream.Recv(ctx)
	switch {
	case err == nil:
		s.see(got)
	case errors.Is(err, io.EOF):
		s.leave()
	case errors.Is(err, context.DeadlineExceeded) && s.e.members[s.member].Stats().Stalled:
		return s.end(), nil
	}
	return got, err
}

func (s *stream) isCut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut
}

// see counts the finishes among the deltas.
func (s *stream) see(got []llm.Delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i := range got {
		if d := &got[i]; d.Finish != nil && !s.ended[d.Choice] {
			s.ended[d.Choice] = true
			n++
		}
	}
	s.uncount(n)
}

// stalledRetry is when a client may come back whose engine makes no progress; the
// others take it at once.
const stalledRetry = time.Second

// end makes up the finishes that a stalled engine does not give.
func (s *stream) end() []llm.Delta {
	s.Stream.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	var out []llm.Delta
	for i, ended := range s.ended {
		if !ended {
			out = append(out, llm.Delta{Choice: i, Finish: &llm.Finish{Reason: llm.FinishError, StopID: -1, Err: &llm.Error{
				Kind: llm.Stopping, Code: "engine_stalled", RetryAfter: stalledRetry,
				Message: "The device makes no progress; send the request again."}}})
		}
	}
	s.ended = slices.Repeat([]bool{true}, len(s.ended))
	s.uncount(s.open)
	return out
}

// Close implements llm.Stream.
func (s *stream) Close() {
	s.Stream.Close()
	s.leave()
}

// leave counts everything out: the request has ended, or nobody waits for it.
func (s *stream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncount(s.open)
}

// uncount counts choices out, each once. The lock is held.
func (s *stream) uncount(n int) {
	if n = min(n, s.open); n == 0 {
		return
	}
	s.open -= n
	s.e.release(s.member, n)
	if s.open == 0 && s.unhook != nil {
		s.unhook()
	}
}
