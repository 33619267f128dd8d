package reference

import (
	"sync"

	"github.com/reasond/reasond/internal/backend"
)

// group joins the ranks of tensor parallelism: backends of one process whose
// AllReduce waits for the others.
type group struct {
	mu      sync.Mutex
	turn    *sync.Cond
	parts   [][]float32 // what the ranks brought to the present sum
	arrived int
	sums    int // sums done
}

// NewGroup makes n backends that are the ranks of one group. Each is driven by
// its own goroutine, with the same batches: Forward on one rank waits for the
// others.
func NewGroup(cfg backend.Config, n int) ([]*Backend, error) {
	g := &group{parts: make([][]float32, n)}
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

// allReduce replaces x on every rank by the sum over the ranks, in their order.
func (g *group) allReduce(rank int, x []float32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parts[rank] = x
	if g.arrived++; g.arrived < len(g.parts) {
		for sum := g.sums; sum == g.sums; {
			g.turn.Wait()
		}
		return
	}
	for i := range x {
		sum := 0.0
		for _, part := range g.parts {
			sum += float64(part[i])
		}
		for _, part := range g.parts {
			part[i] = float32(sum)
		}
	}
	g.arrived = 0
	g.sums++
	g.turn.Broadcast()
}
