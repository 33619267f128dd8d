package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// expertsCase is a mixture of experts under test.
type expertsCase struct {
	gateUp, down weights.DType
	in, inner    int
	experts, top int
	act          backend.Activation
	biased       bool
	skewed       bool // expert 0 takes part in every row, others in few
	add          bool
}

func (c expertsCase) String() string {
	return fmt.Sprintf("%s+%s/%d experts, top %d, %d to %d, act %d bias %v skewed %v add %v",
		c.gateUp, c.down, c.experts, c.top, c.in, c.inner, c.act.Kind, c.biased, c.skewed, c.add)
}

func expertsCases() []expertsCase {
	silu := backend.Activation{Kind: backend.Silu}
	clamped := backend.Activation{Kind: backend.ClampedSwiGLU, Alpha: 1.702, Limit: 7}
	all := []expertsCase{
		{weights.BF16, weights.BF16, 64, 32, 4, 2, silu, false, false, true}, {weights.BF16, weights.BF16, 96, 64, 128, 8, silu, false, false, true},
		{weights.BF16, weights.BF16, 64, 96, 8, 8, silu, false, false, false}, {weights.BF16, weights.BF16, 128, 64, 16, 1, silu, true, true, false},
		{weights.BF16, weights.BF16, 64, 64, 32, 4, clamped, true, true, true}, {weights.F32, weights.F32, 576, 192, 6, 3, silu, false, true, true},
		{weights.MXFP4, weights.MXFP4, 96, 160, 32, 4, clamped, true, false, true}, {weights.MXFP4, weights.MXFP4, 2880, 64, 4, 2, clamped, true, true, false},
		{weights.F8E4M3, weights.F8E4M3, 256, 128, 16, 4, silu, false, false, true}, {weights.F8E4M3, weights.F8E4M3, 384, 256, 4, 2, silu, false, true, false},
		{weights.I4, weights.I4, 128, 256, 16, 4, silu, false, false, true}, {weights.I4, weights.I4, 96, 64, 4, 1, silu, false, true, false},
		{weights.Q4_K, weights.Q6_K, 256, 256, 16, 4, silu, false, false, true},
	}
	for _, d := range allDTypes {
		all = append(all, expertsCase{d, d, 256, 256, 5, 2, silu, d == weights.Q8_0, false, d == weights.Q5_K})
	}
	return all
}

// experts checks mixtures of experts in every format: rows of one expert and of
// all, experts without rows, onto a residual stream and not.
func (s suite) experts(t *testing.T) {
	for i, c := range expertsCases() {
		if i%thin != 0 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			r := newRig(t, s, s.config(), uint64(i))
			routed := routeCase{experts: c.experts, skewed: c.skewed, RouterSpec: backend.RouterSpec{
				Scoring: backend.SoftmaxThenTopK, TopK: c.top, Normalize: !c.skewed, Scale: 1, Correction: backend.NoVector,
			}}
			choice, w, spec, weight := r.router(routed, 64)
			input, base := randomTensor(r.rng, weights.F32, maxRows, c.in), randomTensor(r.rng, weights.F32, maxRows, c.in)
			gateUp, up, upBias := r.randomStack(c.experts, c.in, []weights.DType{c.gateUp, c.gateUp}, []int{c.inner, c.inner}, c.biased)
			down, dn, dnBias := r.randomStack(c.experts, c.inner, []weights.DType{c.down}, []int{c.in}, c.biased)
			by, err := r.NewRouting(c.top)
			must(t, by, err)
			x, y, z := r.buffer(c.in), r.buffer(c.in), r.buffer(64)
			ex, ey, ez, o := r.linear(input), r.linear(base), r.linear(choice), r.readBack(c.in)
			r.noKV()
			r.build(func(p backend.Program) {
				p.Embed(x, ex)
				p.Embed(y, ey)
				p.Embed(z, ez)
				p.Route(by, z, w, spec)
				p.Experts(y, x, by, gateUp, down, c.act, c.add)
				p.AllReduce(y)
				o.emit(p, y)
			})
			var want [][]float64
			from := matrix(base)
			for id, row := range matrix(input) {
				out := make([]float64, c.in)
				if c.add {
					copy(out, from[id])
				}
				for e, g := range weight[id] {
					if g == 0 {
						continue
					}
					both := mul(up[e], row, upBias[e])
					for i, v := range mul(dn[e], activation(c.act, both[:c.inner], both[c.inner:]), dnBias[e]) {
						out[i] += g * v
					}
				}
				want = append(want, out)
			}
			r.rowwise(o, want, s.tol.of(c.gateUp)+s.tol.of(c.down))
		})
	}
}

// randomStack is matrices of random parts, on the backend and in float64.
func (r *rig) randomStack(n, in int, dtypes []weights.DType, outs []int, biased bool) (s backend.Stack, w [][][]float64, bias [][]float64) {
	var specs []backend.LinearSpec
	flags := make([]bool, len(dtypes))
	for i := range flags {
		flags[i] = biased
	}
	for range n {
		spec, m, b, _ := randomLinear(r.rng, in, dtypes, outs, flags)
		spec.Gated = len(dtypes) == 2
		if !biased {
			spec.Bias = nil
		}
		specs, w, bias = append(specs, spec), append(w, m), append(bias, b)
	}
	return r.stack(specs), w, bias
}

// activation is the mathematics between an expert's two matrices.
func activation(act backend.Activation, gate, up []float64) []float64 {
	if act.Kind == backend.Silu {
		return gated(gate, up)
	}
	out := make([]float64, len(gate))
	for i := range out {
		g := min(gate[i], float64(act.Limit))
		u := min(max(up[i], -float64(act.Limit)), float64(act.Limit))
		out[i] = (u + 1) * g / (1 + math.Exp(-float64(act.Alpha)*g))
	}
	return out
}

// headLinear checks one matrix a head: from a part of each head's input to
// heads back to back, and to heads with a gap, which stays as it was.
func (s suite) headLinear(t *testing.T) {
	for i, c := range []struct {
		format         weights.DType
		heads, in, out int
		backend.HeadSpec
	}{
		{weights.BF16, 4, 32, 64, backend.HeadSpec{XStride: 48, OutStride: 64}}, {weights.BF16, 4, 64, 32, backend.HeadSpec{XStride: 64, OutStride: 32}},
		{weights.F32, 1, 16, 24, backend.HeadSpec{XStride: 16, OutStride: 24}}, {weights.F16, 16, 64, 128, backend.HeadSpec{XStride: 96, OutStride: 128}},
		{weights.BF16, 3, 32, 32, backend.HeadSpec{XOffset: 16, XStride: 64, OutStride: 48}}, {weights.F32, 8, 128, 64, backend.HeadSpec{XStride: 128, OutStride: 64}},
		{weights.BF16, 2, 128, 512, backend.HeadSpec{XStride: 192, OutStride: 512}}, {weights.BF16, 2, 512, 128, backend.HeadSpec{XStride: 512, OutStride: 128}},
	} {
		t.Run(fmt.Sprintf("%s/%d heads %d to %d, %+v", c.format, c.heads, c.in, c.out, c.HeadSpec), func(t *testing.T) {
			r := newRig(t, s, s.config(), uint64(i))
			ins, outs := c.heads*max(c.XStride, c.XOffset+c.in), c.heads*c.OutStride
			input, base := randomTensor(r.rng, weights.BF16, maxRows, ins), randomTensor(r.rng, weights.BF16, maxRows, outs)
			stack, w, _ := r.randomStack(c.heads, c.in, []weights.DType{c.format}, []int{c.out}, false)
			x, y, ex, ey, o := r.buffer(ins), r.buffer(outs), r.linear(input), r.linear(base), r.readBack(outs)
			r.noKV()
			r.build(func(p backend.Program) {
				p.Embed(x, ex)
				p.Embed(y, ey)
				p.HeadLinear(y, x, stack, c.HeadSpec)
				o.emit(p, y)
			})
			want := matrix(base)
			for id, row := range matrix(input) {
				for h := range c.heads {
					copy(want[id][h*c.OutStride:], mul(w[h], row[h*c.XStride+c.XOffset:][:c.in], nil))
				}
			}
			r.rowwise(o, want, s.tol.of(c.format))
		})
	}
}
