package reference

import (
	"errors"
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/backend"
)

// stack is matrices of equal shape.
type stack []linear

// NewStack implements backend.Backend.
func (b *Backend) NewStack(specs []backend.LinearSpec) (backend.Stack, error) {
	if len(specs) == 0 {
		return 0, errors.New("reference: a stack of no matrices")
	}
	var s stack
	for _, spec := range specs {
		l, err := b.pack(spec)
		if err != nil {
			return 0, fmt.Errorf("reference: linear %q: %w", spec.Name, err)
		}
		if first := append(s, l)[0]; l.in != first.in || l.out != first.out || l.gated != first.gated {
			return 0, fmt.Errorf("reference: linear %q: %d to %d, the first of its stack %d to %d", spec.Name, l.in, l.out, first.in, first.out)
		}
		s = append(s, l)
	}
	b.stacks = append(b.stacks, s)
	return backend.Stack(len(b.stacks) - 1), nil
}

// Experts implements backend.Program. A row's experts are summed best first.
func (p *program) Experts(out, x backend.Buffer, by backend.Routing, gateUp, down backend.Stack, act backend.Activation, add bool) {
	b := p.b
	o, in, t, up, dn := b.buffers[out], b.buffers[x], b.routings[by], b.stacks[gateUp], b.stacks[down]
	fits := out != x && up[0].gated && !dn[0].gated && len(up) == len(dn) && t.experts == len(up) &&
		in.cols == up[0].in && up[0].out == 2*dn[0].in && dn[0].out == o.cols
	p.add("Experts "+up[0].name, fits, func() {
		b.parallel(b.batch.Rows, func(from, to int) {
			between, sum := make([]float64, dn[0].in), make([]float64, o.cols)
			for r := from; r < to; r++ {
				clear(sum)
				experts, weights := t.row(r)
				for k, e := range experts {
					expert(sum, between, in.row(r), up[e], dn[e], act, float64(weights[k]))
				}
				for i, v := range sum {
					if add {
						o.row(r)[i] += float32(v)
					} else {
						o.row(r)[i] = float32(v)
					}
				}
			}
		})
	})
}

// expert adds weight times one expert's result on x to sum.
func expert(sum, between []float64, x []float32, gateUp, down linear, act backend.Activation, weight float64) {
	half := gateUp.out / 2
	for i := range between {
		between[i] = activate(act, float64(float32(gateUp.apply(i, x))), float64(float32(gateUp.apply(half+i, x))))
	}
	for n := range sum {
		y := 0.0
		if down.bias != nil {
			y = float64(down.bias[n])
		}
		sum[n] += weight * (y + dot(down.weight[n*down.in:(n+1)*down.in], between))
	}
}

// apply is output n of x·Wᵀ + b.
func (l linear) apply(n int, x []float32) float64 {
	sum := 0.0
	for i, w := range l.weight[n*l.in : (n+1)*l.in] {
		sum += float64(float64(w) * float64(x[i]))
	}
	if l.bias != nil {
		sum += float64(l.bias[n])
	}
	return sum
}

// activate is the function between the two matrices of an expert.
func activate(act backend.Activation, gate, up float64) float64 {
	if act.Kind == backend.Silu {
		return silu(gate) * up
	}
	limit := float64(act.Limit)
	gate = math.Min(gate, limit)
	up = math.Max(-limit, math.Min(up, limit))
	return (up + 1) * gate / (1 + math.Exp(-float64(act.Alpha)*gate))
}

// HeadLinear implements backend.Program.
func (p *program) HeadLinear(out, x backend.Buffer, w backend.Stack, s backend.HeadSpec) {
	b := p.b
	o, in, heads := b.buffers[out], b.buffers[x], b.stacks[w]
	last := len(heads) - 1
	fits := out != x && !heads[0].gated && s.XOffset >= 0 && s.XStride >= 0 && s.OutStride >= heads[0].out &&
		last*s.XStride+s.XOffset+heads[0].in <= in.cols && last*s.OutStride+heads[0].out <= o.cols
	p.add("HeadLinear "+heads[0].name, fits, func() {
		b.parallel(b.batch.Rows, func(from, to int) {
			for r := from; r < to; r++ {
				for h, l := range heads {
					head := in.row(r)[h*s.XStride+s.XOffset:][:l.in]
					for n := range l.out {
						o.row(r)[h*s.OutStride+n] = float32(l.apply(n, head))
					}
				}
			}
		})
	})
}
