package server

import (
	"context"
	"sync"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

var (
	errDraining = &llm.Error{Kind: llm.Stopping, Code: "stopping", Message: "the server is shutting down", RetryAfter: 5 * time.Second}
	errFull     = &llm.Error{Kind: llm.Overloaded, Code: "overloaded", Message: "too many requests at once", RetryAfter: time.Second}
)

// gate counts the generations inside, bounds their number, and shuts.
type gate struct {
	stopped context.Context // ended: those inside must leave
	stop    context.CancelFunc

	mu     sync.Mutex
	inside int
	most   int
	shut   bool
	empty  chan struct{} // closed when shut and nobody is inside
}

func newGate(most int) *gate {
	g := &gate{most: most, empty: make(chan struct{})}
	g.stopped, g.stop = context.WithCancel(context.Background())
	return g
}

// enter lets a generation in or says why not. Its context ends with the
// client's, and with cause errDraining when the drain limit is reached. leave
// must be called.
func (g *gate) enter(parent context.Context) (ctx context.Context, leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.shut:
		return nil, nil, errDraining
	case g.inside >= g.most:
		return nil, nil, errFull
	}
	g.inside++
	ctx, cancel := context.WithCancelCause(parent)
	unhook := context.AfterFunc(g.stopped, func() { cancel(errDraining) })
	return ctx, func() {
		unhook()
		cancel(context.Canceled)
		g.leave()
	}, nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.shut && g.inside == 0 {
		close(g.empty)
	}
}

func (g *gate) drain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return
	}
	g.shut = true
	if g.inside == 0 {
		close(g.empty)
	}
}

func (g *gate) draining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}

func (g *gate) running() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}

// idle is closed once the gate is shut and empty.
func (g *gate) idle() <-chan struct{} { return g.empty }
