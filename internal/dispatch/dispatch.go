// Package dispatch is one engine made of several that serve the same model, one
// a device. A request goes where the beginning of its prompt was sent before, if
// that engine is not much busier than the others, else to the least busy one. An
// engine that is not ready is left out until it is.
//
// choose.go has the rule, index.go what is remembered; both are pure. It knows
// no device, no text and no HTTP.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/reasond/reasond/internal/llm"
)

// Member is one of the engines; see pipeline.Engine.
type Member interface {
	Submit(ctx context.Context, req *llm.Request) (llm.Stream, error)
	Caps() llm.Caps
	Stats() llm.Stats
	Close() error
}

// Config is an Engine's settings. Zero fields take their default.
type Config struct {
	// Imbalance is how many more choices than the least busy engine one may have
	// under way and still be sent those whose prefix it knows; default 8.
	Imbalance int
	// Blocks is how many blocks of prompts are remembered; default: as many as the
	// engines have KV pages, but at least 4096.
	Blocks int
	// NoPrefixCache says that engines reuse nothing, so only their load counts.
	NoPrefixCache bool
}

const (
	defaultImbalance = 8
	leastBlocks      = 4096
	mostEngines      = 64 // bits of a word of the index
)

// Engine implements the pipeline's Engine over others.
type Engine struct {
	cfg     Config
	members []*member
	closed  sync.Once
	err     error // of Close

	mu    sync.Mutex // guards index and the members' state
	index *index
	turn  int // where the search for the least busy engine begins
}

type member struct {
	Member
	open     int // choices under way
	restarts uint64
	away     bool // it was restarting when last seen
}

// New makes one engine of members, of which there are 1 to 64 and which are the
// Engine's from then on, Close included.
func New(cfg Config, members []Member) (*Engine, error) {
	if len(members) < 1 || len(members) > mostEngines {
		return nil, fmt.Errorf("dispatch: %d engines, must be 1 to %d", len(members), mostEngines)
	}
	e := &Engine{cfg: cfg}
	pages := 0
	for _, m := range members {
		s := m.Stats()
		e.members = append(e.members, &member{Member: m, restarts: s.Restarts})
		pages += s.PagesTotal
	}
	if e.cfg.Imbalance == 0 {
		e.cfg.Imbalance = defaultImbalance
	}
	if e.cfg.Blocks == 0 {
		e.cfg.Blocks = max(pages, leastBlocks)
	}
	if e.cfg.Imbalance < 0 || e.cfg.Blocks < 0 {
		return nil, fmt.Errorf("dispatch: Imbalance is %d and Blocks %d, must not be negative", e.cfg.Imbalance, e.cfg.Blocks)
	}
	e.index = newIndex(e.cfg.Blocks)
	return e, nil
}

// Submit implements the pipeline's Engine. An engine that refuses because it is
// busy or stopping is passed over; the answer is a refusal only if all refuse, and
// then the first one's.
func (e *Engine) Submit(ctx context.Context, req *llm.Request) (llm.Stream, error) {
	var blocks []uint64
	if !e.cfg.NoPrefixCache {
		blocks = e.index.blocks(req)
	}
	var tried uint64
	var refused error
	for {
		i := e.pick(blocks, req.N, tried)
		if i < 0 {
			return nil, refused
		}
		tried |= 1 << i
		got, err := e.members[i].Submit(ctx, req)
		if err == nil {
			return e.accepted(ctx, i, req.N, got), nil
		}
		e.release(i, req.N)
		if refused == nil {
			refused = err
		}
		if k := llm.KindOf(err); k != llm.Overloaded && k != llm.Stopping {
			return nil, err
		}
	}
}

// pick chooses an engine that was not tried, counts the choices as under way
// there, and notes the prompt. -1: all were tried.
func (e *Engine) pick(blocks []uint64, choices int, tried uint64) int {
	stats := e.each()
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]candidate, len(e.members))
	for i, m := range e.members {
		if s := &stats[i]; s.Restarts != m.restarts || s.Restarting && !m.away {
			e.index.forget(i) // its pages are gone
		}
		m.restarts, m.away = stats[i].Restarts, stats[i].Restarting
		all[i] = candidate{state: stateOf(&stats[i]), open: m.open, out: tried>>i&1 == 1}
	}
	e.index.match(blocks, func(i, n int) { all[i].known = n })
	i := choose(all, e.cfg.Imbalance, e.turn)
	if i < 0 {
		return i
	}
	e.turn = i + 1
	e.members[i].open += choices
	e.index.note(blocks, i)
	return i
}

func (e *Engine) release(i, choices int) {
	e.mu.Lock()
	e.members[i].open -= choices
	e.mu.Unlock()
}

// Close implements the pipeline's Engine: all at once.
func (e *Engine) Close() error {
	e.closed.Do(func() {
		errs := make([]error, len(e.members))
		var wait sync.WaitGroup
		for i, m := range e.members {
			wait.Go(func() { errs[i] = m.Close() })
		}
		wait.Wait()
		e.err = errors.Join(errs...)
	})
	return e.err
}
