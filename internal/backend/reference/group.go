package reference

import (
	"sync"

	"github.com/reasond/reasond/internal/backend"
)

// group joins the ranks of tensor parallelism: backends of one process that
// wait for each other.
type group struct {
	mu      sync.Mutex
	turn    *sync.Cond
	parts   []any // what the ranks brought to the present meeting
	arrived int
	met     int // meetings held
}

// columns is a rank's part of a row-major matrix: count columns from first.
type columns struct {
	data                []float32 // [rows][width]
	width, first, count int
}

// NewGroup makes n backends that are the ranks of one group. Each is driven by
// its own goroutine, with the same batches: Forward on one rank waits for the
// others.
func NewGroup(cfg backend.Config, n int) ([]*Backend, error) {
	g := &group{parts: make([]any, n)}
	g.turn = sync.NewCond(&g.mu)
	var ranks []*Backend
	for i := range n {
		b, err := New(cfg)
		if err != nil {
			return nil, err
		}
		b.group, b.rank = g, i
		ranks = append(ranks, b)
	}
	return ranks, nil
}

// meet waits until every rank has brought its part; the last one to come does
// the work for all.
func (g *group) meet(rank int, part any, work func(parts []any)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parts[rank] = part
	if g.arrived++; g.arrived < len(g.parts) {
		for met := g.met; met == g.met; {
			g.turn.Wait()
		}
		return
	}
	work(g.parts)
	g.arrived = 0
	g.met++
	g.turn.Broadcast()
}

// allReduce replaces x on every rank by the sum over the ranks, in their order.
func (g *group) allReduce(rank int, x []float32) {
	g.meet(rank, x, func(parts []any) {
		for i := range x {
			sum := 0.0
			for _, part := range parts {
				sum += float64(part.([]float32)[i])
			}
			for _, part := range parts {
				part.([]float32)[i] = float32(sum)
			}
		}
	})
}

// gather gives every rank the others' columns.
func (g *group) gather(rank int, own columns) {
	g.meet(rank, own, func(parts []any) {
		for _, part := range parts {
			from := part.(columns)
			for _, other := range parts {
				to := other.(columns)
				for at := from.first; at < len(from.data); at += from.width {
					copy(to.data[at:at+from.count], from.data[at:at+from.count])
				}
			}
		}
	})
}
