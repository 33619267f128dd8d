// Package ranks makes one backend of the ranks of tensor parallelism: backends
// that hold a share of one model each and compute every step together. It owns
// the ranks' threads and hands each step to all of them; how the ranks sum what
// they have is their own affair (backend.Program's AllReduce). It knows neither
// models nor devices.
//
// The batch is the first rank's; the others get a copy of it. Every rank samples, from
// logits that are the same bits everywhere, because each must know the last
// token of every slot. That they agree is checked each step.
package ranks

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// Aborter is a backend whose calls may wait for other ranks. Abort, which any
// goroutine may call, makes them fail, now and from now on.
type Aborter interface{ Abort() }

// Group is a backend.Backend over several; New makes it. What is special: each
// rank is loaded by itself, see Load, and all are lost where one is.
type Group struct {
	ranks   []*rank
	results chan result
	slots   []bind
	err     error // the group is lost; it is in every later answer

	// The calls, bound once.
	forward, sample, sync call
}

var _ backend.Backend = (*Group)(nil)

// rank is a backend on a thread of its own.
type rank struct {
	index int
	b     backend.Backend
	calls chan call
	away  bool // in a call that has not come back
}

type call func(r *rank) error

type result struct {
	rank int
	err  error
}

// bind is a SetSlot that waits for the next step.
type bind struct {
	slot  int
	state backend.Slot
}

// A rank that fails, and is not lost, leaves the others at most this long in what
// they do; then they are aborted, and given up as long after that.
const patience = 5 * time.Second

// New puts each backend on a thread of its own, in the order of their ranks. From
// then on they are the group's, Close included.
func New(backends []backend.Backend) *Group {
	g := &Group{results: make(chan result, len(backends))}
	for i, b := range backends {
		r := &rank{index: i, b: b, calls: make(chan call, 1)}
		g.ranks = append(g.ranks, r)
		go r.run(g.results)
	}
	g.forward = func(r *rank) error {
		for i := range g.slots {
			r.b.SetSlot(g.slots[i].slot, g.slots[i].state)
		}
		return r.b.Forward()
	}
	g.sample = func(r *rank) error { return r.b.Sample() }
	g.sync = func(r *rank) error { return r.b.Sync() }
	return g
}

func (r *rank) run(results chan<- result) {
	runtime.LockOSThread()
	for c := range r.calls {
		results <- result{r.index, r.do(c)}
	}
}

func (r *rank) do(c call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c(r)
}

// Load runs load for every rank at once, each on its own thread: model.Load with
// that rank's shard.
func (g *Group) Load(load func(b backend.Backend, sh weights.Shard) error) error {
	return g.all(func(r *rank) error {
		return load(r.b, weights.Shard{Rank: r.index, Size: len(g.ranks)})
	})
}

// all has every rank do the same and waits. Where all fail, and none is lost, the
// error is the first rank's and the group goes on; where some fail, it is lost.
func (g *Group) all(c call) error {
	if g.err != nil {
		return g.err
	}
	away := 0
	for _, r := range g.ranks {
		if !r.away {
			r.away = true
			away++
			r.calls <- c
		}
	}
	var errs []error
	var late <-chan time.Time
	aborted := false
	for away > 0 {
		select {
		case got := <-g.results:
			away--
			g.ranks[got.rank].away = false
			if got.err == nil {
				continue
			}
			errs = append(errs, fmt.Errorf("rank %d of %d: %w", got.rank, len(g.ranks), got.err))
			switch {
			case aborted:
			case errors.Is(got.err, backend.ErrLost): // the others wait in vain
				aborted = true
				g.abort()
				late = time.After(patience)
			case late == nil:
				late = time.After(patience)
			}
		case <-late:
			if aborted {
				return g.lose(append(errs, fmt.Errorf("%d ranks do not come back", away)))
			}
			aborted = true
			g.abort()
			late = time.After(patience)
		}
	}
	switch {
	case errs == nil:
		return nil
	case aborted || len(errs) < len(g.ranks) || errors.Is(errors.Join(errs...), backend.ErrLost):
		return g.lose(errs)
	}
	return errs[0]
}

// lose ends the group: ranks that did not fail may have done what the others did
// not, or wait for them on their devices.
func (g *Group) lose(errs []error) error {
	g.abort()
	if err := errors.Join(errs...); errors.Is(err, backend.ErrLost) {
		g.err = err
	} else {
		g.err = fmt.Errorf("%w: %w", backend.ErrLost, err)
	}
	return g.err
}

func (g *Group) abort() {
	for _, r := range g.ranks {
		if a, ok := r.b.(Aborter); ok {
			a.Abort()
		}
	}
}

// Batch implements backend.Backend: it is rank 0's.
func (g *Group) Batch() *backend.Batch { return g.ranks[0].b.Batch() }

// SetSlot implements backend.Backend. Ranks hear of it with the next Forward,
// which fails on a slot that is not there.
func (g *Group) SetSlot(slot int, s backend.Slot) {
	if g.err == nil {
		g.slots = append(g.slots, bind{slot, s})
	}
}

// Forward implements backend.Backend.
func (g *Group) Forward() error {
	if g.err != nil {
		return g.err // a rank that never came back may still read what lies here
	}
	for _, r := range g.ranks[1:] {
		copyStep(r.b.Batch(), g.Batch())
	}
	err := g.all(g.forward)
	if g.err == nil {
		clear(g.slots)
		g.slots = g.slots[:0]
	}
	return err
}

// Sample implements backend.Backend.
func (g *Group) Sample() error {
	if g.err != nil {
		return g.err
	}
	for _, r := range g.ranks[1:] {
		copyMasks(r.b.Batch(), g.Batch())
	}
	return g.all(g.sample)
}

// Sync implements backend.Backend. Ranks that sampled different tokens fail the
// step.
func (g *Group) Sync() error {
	if err := g.all(g.sync); err != nil {
		return err
	}
	want := g.Batch().Sampled
	for _, r := range g.ranks[1:] {
		if err := agree(want, r.b.Batch().Sampled); err != nil {
			return fmt.Errorf("ranks 0 and %d: %w", r.index, err)
		}
	}
	return nil
}

// LogitsRow implements backend.Backend.
func (g *Group) LogitsRow(dst []float32, i int) error {
	return g.all(func(r *rank) error {
		if r.index > 0 {
			dst := make([]float32, len(dst)) // it is for tests: all or none fail
			return r.b.LogitsRow(dst, i)
		}
		return r.b.LogitsRow(dst, i)
	})
}

// Close implements backend.Backend: all ranks at once, as they may wait for each
// other in that too. A rank that never came back is left as it is.
func (g *Group) Close() error {
	var left error
	for _, r := range g.ranks {
		if r.away {
			left = fmt.Errorf("ranks: rank %d of %d never came back and is left", r.index, len(g.ranks))
		}
	}
	g.err = nil
	err := g.all(func(r *rank) error { return r.b.Close() })
	for _, r := range g.ranks {
		close(r.calls)
	}
	g.err = errors.New("ranks: closed")
	return errors.Join(err, left)
}

// Info implements backend.Backend: of all ranks together. Pages are as many as
// every rank has.
func (g *Group) Info() backend.Info {
	all := g.Ranks()
	sum := all[0]
	for _, i := range all[1:] {
		sum.Pages = min(sum.Pages, i.Pages)
		sum.Threads += i.Threads
		sum.WeightBytes += i.WeightBytes
		sum.FileBytes += i.FileBytes
		sum.KVBytes += i.KVBytes
	}
	return sum
}

// Ranks describes each rank.
func (g *Group) Ranks() []backend.Info {
	infos := make([]backend.Info, len(g.ranks))
	for i, r := range g.ranks {
		infos[i] = r.b.Info()
	}
	return infos
}
