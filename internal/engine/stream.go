package engine

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/reasond/reasond/internal/engine/bell"
	"github.com/reasond/reasond/internal/llm"
)

// stream is a request's mailbox. The loop appends and never waits; it holds at
// most what the request may generate. It implements llm.Stream.
type stream struct {
	ready  bell.Bell // there is something to receive
	tell   func(kind messageKind, choice int)
	mu     sync.Mutex
	fill   mailbox // what the loop appends to
	lent   mailbox // what the last Recv returned
	states []choiceState
	open   int         // choices without a finish
	cached int         // prompt tokens from the prefix cache
	times  llm.Times   // all but Ended
	unhook func() bool // stops watching the request's context
}

type choiceState struct{ finished, delivered bool } // finish appended; finish returned by Recv

// mailbox holds deltas and, behind them, their ids and log-probabilities.
type mailbox struct {
	deltas   []llm.Delta
	ids      []int32
	logprobs []llm.Logprobs
}

func newStream(choices int, tell func(messageKind, int)) *stream {
	return &stream{ready: bell.New(), tell: tell, states: make([]choiceState, choices), open: choices, times: llm.Times{Accepted: time.Now()}}
}

// Recv implements llm.Stream.
func (s *stream) Recv(ctx context.Context) ([]llm.Delta, error) {
	for {
		got, err := s.take()
		if err != nil {
			s.ready.Forget()
			return nil, err
		}
		if got != nil {
			return got, nil
		}
		if err := s.ready.Wait(ctx); err != nil {
			return nil, err
		}
	}
}

func (s *stream) take() ([]llm.Delta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fill.deltas) == 0 {
		if s.open == 0 {
			return nil, io.EOF
		}
		return nil, nil
	}
	s.lent.reset()
	s.fill, s.lent = s.lent, s.fill
	for i := range s.lent.deltas {
		if d := &s.lent.deltas[i]; d.Finish != nil {
			s.states[d.Choice].delivered = true
		}
	}
	return s.lent.deltas, nil
}

// Stop implements llm.Stream. What was not received yet came after the match:
// it is dropped, a finish included.
func (s *stream) Stop(choice int, match string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if choice < 0 || choice >= len(s.states) || s.states[choice].delivered {
		return
	}
	s.fill.deltas = slices.DeleteFunc(s.fill.deltas, func(d llm.Delta) bool { return d.Choice == choice })
	s.fill.finish(choice, s.timed(llm.Finish{Reason: llm.FinishStop, StopID: -1, StopText: match}))
	if !s.states[choice].finished {
		s.end(choice)
		s.tell(stopped, choice)
	}
	s.ready.Ring()
}

// Close implements llm.Stream.
func (s *stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open > 0 {
		s.tell(cancelled, 0)
	}
}

// watch keeps the function that stops watching the request's context.
func (s *stream) watch(unhook func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == 0 {
		unhook()
		return
	}
	s.unhook = unhook
}

// push appends tokens of a choice that has not ended; for one that has it does
// nothing. It copies ids and logprobs.
func (s *stream) push(choice int, ids []int32, logprobs []llm.Logprobs) {
	if s.pushed(choice, ids, logprobs) {
		s.ready.Ring() // who wakes finds the lock free
	}
}

func (s *stream) pushed(choice int, ids []int32, logprobs []llm.Logprobs) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.states[choice].finished {
		return false
	}
	if s.times.First.IsZero() {
		s.times.First = time.Now()
	}
	s.fill.add(choice, ids, logprobs)
	return true
}

// score appends the log-probabilities of the prompt's tokens.
func (s *stream) score(choice int, tokens []llm.PromptLogprob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.states[choice].finished {
		return
	}
	s.fill.deltas = append(s.fill.deltas, llm.Delta{Choice: choice, Prompt: tokens})
	s.ready.Ring()
}

// finish ends a choice, once; later calls do nothing.
func (s *stream) finish(choice int, f llm.Finish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.states[choice].finished {
		return
	}
	s.fill.finish(choice, s.timed(f))
	s.end(choice)
	s.ready.Ring()
}

// end marks a choice finished.
func (s *stream) end(choice int) {
	s.states[choice].finished = true
	s.open--
	if s.open == 0 && s.unhook != nil {
		s.unhook()
	}
}

// setCached notes that the request's first step is planned, and how much of its
// prompt was computed before.
func (s *stream) setCached(n int) {
	s.mu.Lock()
	s.cached, s.times.Begun = n, time.Now()
	s.mu.Unlock()
}

// timed is a finish with what the stream knows of the request.
func (s *stream) timed(f llm.Finish) llm.Finish {
	f.Cached, f.Times = s.cached, s.times
	f.Times.Ended = time.Now()
	return f
}

// add appends tokens, to the last delta if that is the same choice's.
func (m *mailbox) add(choice int, ids []int32, logprobs []llm.Logprobs) {
	d := m.last(choice)
	if d == nil {
		m.deltas = append(m.deltas, llm.Delta{Choice: choice})
		d = &m.deltas[len(m.deltas)-1]
	}
	// The last delta's ids are the end of m.ids, so that appending extends both.
	m.ids = append(m.ids, ids...)
	n := len(m.ids)
	d.IDs = m.ids[n-len(d.IDs)-len(ids) : n : n]
	if len(logprobs) > 0 {
		m.logprobs = append(m.logprobs, logprobs...)
		n := len(m.logprobs)
		d.Logprobs = m.logprobs[n-len(d.Logprobs)-len(logprobs) : n : n]
	}
}

func (m *mailbox) finish(choice int, f llm.Finish) {
	d := m.last(choice)
	if d == nil {
		m.deltas = append(m.deltas, llm.Delta{Choice: choice})
		d = &m.deltas[len(m.deltas)-1]
	}
	d.Finish = &f
}

// last is the last delta if it belongs to choice.
func (m *mailbox) last(choice int) *llm.Delta {
	if n := len(m.deltas); n > 0 && m.deltas[n-1].Choice == choice && m.deltas[n-1].Finish == nil {
		return &m.deltas[n-1]
	}
	return nil
}

func (m *mailbox) reset() {
	clear(m.deltas)
	clear(m.logprobs)
	m.deltas, m.ids, m.logprobs = m.deltas[:0], m.ids[:0], m.logprobs[:0]
}
