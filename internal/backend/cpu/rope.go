package cpu

import (
	"fmt"
	"math"
	"slices"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// rope is a rotary table: the cosines of a position's angles, then their sines.
// Long contexts are possible and rare, so positions are filled in when a step
// first has them.
type rope struct {
	table       []float32 // [MaxContext][2][half]
	half        int
	interleaved bool
	inv         []float64
	scale       float64
}

// ropeStep is how many positions are filled in at once.
const ropeStep = 256

// NewRope implements backend.Backend.
func (b *Backend) NewRope(s backend.RopeSpec) (backend.Rope, error) {
	half := len(s.Inv)
	if half == 0 || half > kernels.MaxHeadDim/2 {
		return 0, fmt.Errorf("cpu: a rotary table of %d pairs", half)
	}
	table, err := b.machine.Floats(b.cfg.MaxContext * 2 * half)
	if err != nil {
		return 0, err
	}
	r := rope{table, half, s.Interleaved, slices.Clone(s.Inv), s.Scale}
	r.fill(0, b.turned)
	b.ropes = append(b.ropes, r)
	return backend.Rope(len(b.ropes) - 1), nil
}

// turn fills every table in as far as the positions need it.
func (b *Backend) turn(positions []int32) {
	if len(positions) == 0 {
		return
	}
	last := int(slices.Max(positions))
	if last < b.turned {
		return
	}
	end := min((last/ropeStep+1)*ropeStep, b.cfg.MaxContext)
	for _, r := range b.ropes {
		r.fill(b.turned, end)
	}
	b.turned = end
}

// fill writes positions [from, end).
func (r *rope) fill(from, end int) {
	for pos := from; pos < end; pos++ {
		row := r.table[pos*2*r.half:][:2*r.half]
		for i, inv := range r.inv {
			sin, cos := math.Sincos(float64(pos) * inv)
			row[i], row[r.half+i] = float32(cos*r.scale), float32(sin*r.scale)
		}
	}
}
