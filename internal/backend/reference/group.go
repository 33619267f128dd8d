package reference

import (
	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/ranks"
)

// columns is a rank's part of a row-major matrix: count columns from first.
type columns struct {
	data                []float32 // [rows][width]
	width, first, count int
}

// NewGroup makes n backends that are the ranks of one group. Each is driven by
// its own goroutine, with the same batches: Forward on one rank waits for the
// others, see package ranks.
func NewGroup(cfg backend.Config, n int) ([]*Backend, error) {
	meeting := ranks.NewMeeting(n)
	var all []*Backend
	for i := range n {
		b, err := New(cfg)
		if err != nil {
			return nil, err
		}
		b.group, b.rank = meeting, i
		all = append(all, b)
	}
	return all, nil
}

// Abort implements ranks.Aborter.
func (b *Backend) Abort() {
	if b.group != nil {
		b.group.Abort()
	}
}

// allReduce replaces x on every rank by the sum over the ranks, in their order.
func (b *Backend) allReduce(x []float32) {
	b.fault = b.group.Meet(b.rank, x, func(parts []any) {
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
func (b *Backend) gather(own columns) {
	b.fault = b.group.Meet(b.rank, own, func(parts []any) {
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
