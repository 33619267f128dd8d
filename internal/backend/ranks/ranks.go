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
	"fmt"

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

	// A step that no mask is made for is held back until Sync, so that the ranks
	// are called once: held says that its forward is, sampling that it samples.
	held, sampling bool

	// The calls, bound once.
	forward, sample, rest call
}

var _ backend.Backend = (*Group)(nil)

// bind is a SetSlot that waits for the next step.
type bind struct {
	slot  int
	state backend.Slot
}

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
	g.rest = func(r *rank) error {
		if g.held {
			if err := g.forward(r); err != nil {
				return err
			}
		}
		if g.sampling {
			if err := g.sample(r); err != nil {
				return err
			}
		}
		return r.b.Sync()
	}
	return g
}

// Load runs load for every rank at once, each on its own thread: model.Load with
// that rank's shard.
func (g *Group) Load(load func(b backend.Backend, sh weights.Shard) error) error {
	return g.all(func(r *rank) error {
		return load(r.b, weights.Shard{Rank: r.index, Size: len(g.ranks)})
	})
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
	g.sampling = false
	for _, r := range g.ranks[1:] {
		copyStep(r.b.Batch(), g.Batch())
	}
	if g.held = !g.Batch().Guided; g.held {
		return nil
	}
	err := g.all(g.forward)
	g.settle()
	return err
}

// settle forgets what the ranks have been told of the step.
func (g *Group) settle() {
	if g.err != nil {
		return
	}
	g.held, g.sampling = false, false
	clear(g.slots)
	g.slots = g.slots[:0]
}

// Sample implements backend.Backend.
func (g *Group) Sample() error {
	if g.err != nil {
		return g.err
	}
	for _, r := range g.ranks[1:] {
		copyMasks(r.b.Batch(), g.Batch())
	}
	if g.sampling = g.held; g.sampling {
		return nil
	}
	return g.all(g.sample)
}

// Sync implements backend.Backend. Ranks that sampled different tokens fail the
// step.
func (g *Group) Sync() error {
	err := g.all(g.rest)
	g.settle()
	if err != nil {
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
	if g.held {
		if err := g.Sync(); err != nil {
			return err
		}
	}
	return g.all(func(r *rank) error {
		if r.index > 0 {
			dst := make([]float32, len(dst)) // it is for tests: all or none fail
			return r.b.LogitsRow(dst, i)
		}
		return r.b.LogitsRow(dst, i)
	})
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
