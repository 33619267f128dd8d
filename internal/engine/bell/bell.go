// Package bell wakes the one goroutine that waits for a mailbox. It knows neither
// what lies in it nor who fills it.
//
// A select of a channel and a context's end would do the same. It costs a token
// twice as much as the channel alone, and a context's end comes once in a stream of
// thousands of tokens; so the end rings too.
package bell

import (
	"context"
	"sync/atomic"
)

// Bell is rung by any goroutine and waited for by one at a time. Rings before a
// Wait are one.
type Bell struct {
	rung  chan struct{} // capacity 1
	ended atomic.Bool   // a context that was followed has; not necessarily heard
	heard context.Context
	stop  func() bool // of following heard
}

// New makes a silent bell.
func New() Bell { return Bell{rung: make(chan struct{}, 1)} }

// Ring wakes who waits, or lets the next Wait return at once. It never blocks.
func (b *Bell) Ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// Wait blocks until a Ring that no Wait has returned for, and returns ctx's error
// if ctx has ended. It may return nil without a Ring, so the caller looks again.
// The bell follows ctx until another one is given, ctx ends or Forget.
func (b *Bell) Wait(ctx context.Context) error {
	if b.heard != ctx {
		b.Forget()
		b.heard, b.stop = ctx, context.AfterFunc(ctx, b.end)
	}
	<-b.rung
	if b.ended.Load() {
		b.ended.Store(false)
		if err := ctx.Err(); err != nil {
			b.Forget() // the next Wait for it is told anew
			return err
		}
	}
	return nil
}

func (b *Bell) end() {
	b.ended.Store(true)
	b.Ring()
}

// Forget ends the following of a context. It is called by the goroutine that waits.
func (b *Bell) Forget() {
	if b.stop != nil {
		b.stop()
	}
	b.heard, b.stop = nil, nil
}
