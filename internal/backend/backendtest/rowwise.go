package backendtest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// Tests of the ops whose output row depends on their input row alone.

// noKV satisfies backends that want a cache before Build.
func (r *rig) noKV() {
	if err := r.NewKV(1, 1, 32); err != nil {
		r.Fatal(err)
	}
}

func (s suite) embed(t *testing.T) {
	for i, d := range tableDTypes {
		for _, cols := range []int{256, 768} {
			t.Run(fmt.Sprintf("%s/%d", d, cols), func(t *testing.T) {
				r := newRig(t, s, s.config(), uint64(i))
				table := randomTensor(r.rng, d, maxRows, cols)
				x, w, o := r.buffer(cols), r.linear(table), r.readBack(cols)
				r.noKV()
				r.build(func(p backend.Program) { p.Embed(x, w); o.emit(p, x) })
				r.rowwise(o, matrix(table), s.tol.Exact)
			})
		}
	}
}

func (s suite) norm(t *testing.T) {
	for i, cols := range []int{32, 96, 576, 1536} {
		for _, eps := range []float32{1e-6, 0.5} {
			t.Run(fmt.Sprintf("%d/eps %g", cols, eps), func(t *testing.T) {
				r := newRig(t, s, s.config(), uint64(i))
				table, weight := randomTensor(r.rng, weights.F32, maxRows, cols), randomTensor(r.rng, weights.BF16, cols)
				x, y, e, o := r.buffer(cols), r.buffer(cols), r.linear(table), r.readBack(cols)
				v, err := r.NewVector(weight)
				must(t, v, err)
				r.noKV()
				r.build(func(p backend.Program) { p.Embed(x, e); p.RMSNorm(y, x, v, eps); o.emit(p, y) })
				var want [][]float64
				for _, row := range matrix(table) {
					want = append(want, rmsNorm(row, matrix(weight)[0], float64(eps)))
				}
				r.rowwise(o, want, s.tol.Exact)
			})
		}
	}
}

// shapes are [in, out] of matrices that format d can have: sizes of real
// models' projections and sizes that fill no kernel's tile.
func shapes(d weights.DType) [][2]int {
	switch {
	case d == weights.F8E4M3:
		return [][2]int{{128, 33}, {256, 192}, {576, 131}, {1536, 100}, {640, 1000}}
	case d == weights.I4:
		return [][2]int{{32, 7}, {96, 96}, {128, 33}, {576, 192}, {1536, 100}, {256, 1000}}
	}
	switch d.BlockSize() {
	case 1:
		return [][2]int{{32, 5}, {80, 33}, {96, 96}, {64, 131}, {576, 192}, {1536, 100}, {256, 1000}}
	case 32:
		return [][2]int{{32, 7}, {96, 96}, {160, 33}, {576, 192}, {1536, 100}, {64, 1000}}
	}
	return [][2]int{{256, 33}, {256, 1000}, {1536, 100}}
}

func (s suite) linear(t *testing.T) {
	for i, d := range allDTypes {
		for j, shape := range shapes(d) {
			if s.tol.Quick && j%4 != 1 {
				continue
			}
			in, out := shape[0], shape[1]
			t.Run(fmt.Sprintf("%s/%d to %d", d, in, out), func(t *testing.T) {
				s.linearCase(t, uint64(i), in, []weights.DType{d}, []int{out}, []bool{in%64 == 0}, out%2 == 1)
			})
		}
	}
	t.Run("merged", func(t *testing.T) {
		s.linearCase(t, 20, 256, []weights.DType{weights.Q4_K, weights.Q4_K, weights.Q6_K}, []int{96, 32, 32}, []bool{true, false, true}, false)
		s.linearCase(t, 21, 96, []weights.DType{weights.BF16, weights.BF16, weights.BF16}, []int{96, 32, 32}, []bool{true, true, true}, true)
		s.linearCase(t, 22, 512, []weights.DType{weights.Q4_1, weights.Q8_0, weights.F16}, []int{33, 65, 7}, []bool{false, true, false}, false)
		s.linearCase(t, 23, 256, []weights.DType{weights.F8E4M3, weights.F8E4M3, weights.F8E4M3}, []int{256, 64, 64}, []bool{false, false, false}, false)
		s.linearCase(t, 24, 128, []weights.DType{weights.I4, weights.I4, weights.I4}, []int{128, 32, 32}, []bool{true, true, true}, true)
	})
}

// linearCase checks y = x·Wᵀ + b, or y += … onto another embedding.
func (s suite) linearCase(t *testing.T, seed uint64, in int, dtypes []weights.DType, outs []int, biased []bool, add bool) {
	r := newRig(t, s, s.config(), seed)
	input := randomTensor(r.rng, weights.F32, maxRows, in)
	spec, w, bias, total := randomLinear(r.rng, in, dtypes, outs, biased)
	base := randomTensor(r.rng, weights.F32, maxRows, total)
	l, err := r.NewLinear(spec)
	must(t, l, err)
	x, y, e, start, o := r.buffer(in), r.buffer(total), r.linear(input), r.linear(base), r.readBack(total)
	r.noKV()
	r.build(func(p backend.Program) {
		p.Embed(x, e)
		p.Embed(y, start)
		p.Linear(y, x, l, add)
		p.AllReduce(y)
		o.emit(p, y)
	})
	tolerance := s.tol.Exact
	for _, d := range dtypes {
		tolerance = max(tolerance, s.tol.of(d))
	}
	var want [][]float64
	from := matrix(base)
	for id, row := range matrix(input) {
		out := mul(w, row, bias)
		if add {
			for i := range out {
				out[i] += from[id][i]
			}
		}
		want = append(want, out)
	}
	r.rowwise(o, want, tolerance)
}

// randomLinear describes a matrix of several parts and is the same in float64.
func randomLinear(rng *rand.Rand, in int, dtypes []weights.DType, outs []int, biased []bool) (spec backend.LinearSpec, w [][]float64, bias []float64, total int) {
	spec.Name = "random"
	for i, d := range dtypes {
		part := randomTensor(rng, d, outs[i], in)
		spec.Parts = append(spec.Parts, part)
		w = append(w, matrix(part)...)
		b := weights.Tensor{}
		values := make([]float64, outs[i])
		if biased[i] {
			b = randomTensor(rng, weights.F32, outs[i])
			values = matrix(b)[0]
		}
		spec.Bias = append(spec.Bias, b)
		bias = append(bias, values...)
		total += outs[i]
	}
	return spec, w, bias, total
}

func (s suite) mlp(t *testing.T) {
	for i, c := range []struct {
		gate, up weights.DType
		in, out  int
		biased   bool
	}{
		{weights.F32, weights.F32, 96, 33, true}, {weights.F16, weights.F16, 64, 160, false}, {weights.BF16, weights.BF16, 576, 96, false},
		{weights.Q8_0, weights.Q8_0, 96, 96, false}, {weights.Q4_0, weights.Q4_0, 160, 64, true}, {weights.Q4_1, weights.Q4_1, 576, 300, false},
		{weights.Q5_K, weights.Q5_K, 256, 96, false}, {weights.Q4_K, weights.Q4_K, 256, 288, true}, {weights.Q6_K, weights.Q6_K, 512, 96, false},
		{weights.F8E4M3, weights.F8E4M3, 256, 96, false}, {weights.I4, weights.I4, 128, 72, true}, {weights.MXFP4, weights.MXFP4, 96, 96, true},
		{weights.Q4_K, weights.Q6_K, 256, 64, false}, {weights.BF16, weights.BF16, 64, 1536, true},
	} {
		t.Run(fmt.Sprintf("%s+%s/%d to %d", c.gate, c.up, c.in, c.out), func(t *testing.T) {
			r := newRig(t, s, s.config(), uint64(i))
			input := randomTensor(r.rng, weights.F32, maxRows, c.in)
			spec, w, bias, _ := randomLinear(r.rng, c.in, []weights.DType{c.gate, c.up}, []int{c.out, c.out}, []bool{c.biased, c.biased})
			spec.Gated = true
			if !c.biased {
				spec.Bias = nil
			}
			l, err := r.NewLinear(spec)
			must(t, l, err)
			x, y, e, o := r.buffer(c.in), r.buffer(c.out), r.linear(input), r.readBack(c.out)
			r.noKV()
			r.build(func(p backend.Program) { p.Embed(x, e); p.GatedMLP(y, x, l); o.emit(p, y) })
			var want [][]float64
			for _, row := range matrix(input) {
				both := mul(w, row, bias)
				want = append(want, gated(both[:c.out], both[c.out:]))
			}
			r.rowwise(o, want, max(s.tol.of(c.gate), s.tol.of(c.up)))
		})
	}
}

// logits checks the head in every format, tied to the embedding and not, and
// that wanted rows may be any, in any order, or none.
func (s suite) logits(t *testing.T) {
	for i, d := range tableDTypes {
		t.Run(d.String(), func(t *testing.T) {
			const cols, eps = 256, 1e-5
			r := newRig(t, s, s.config(), uint64(i))
			table, norm := randomTensor(r.rng, d, 131, cols), randomTensor(r.rng, weights.F32, cols)
			x, w := r.buffer(cols), r.linear(table)
			v, err := r.NewVector(norm)
			must(t, v, err)
			r.noKV()
			r.build(func(p backend.Program) { p.Embed(x, w); p.Logits(x, v, eps, w) })
			if n := r.Info().Vocab; n != 131 {
				t.Fatalf("Info().Vocab is %d, must be 131", n)
			}
			rows := matrix(table)
			for _, n := range r.rowCounts() {
				wanted := r.rng.Perm(n)[:r.rng.IntN(n+1)]
				ids := r.rng.Perm(131)[:n]
				s.wanted(t, r, ids, wanted, func(id int) []float64 {
					return mul(rows, rmsNorm(rows[id], matrix(norm)[0], eps), nil)
				}, s.tol.of(d))
			}
		})
	}
}

func (s suite) wanted(t *testing.T, r *rig, ids, wanted []int, right func(id int) []float64, tolerance float64) {
	d := NewDriver(r.Backend, r.cfg, 5)
	part := Part{Seq: &Sequence{}}
	for _, id := range ids {
		part.Tokens = append(part.Tokens, int32(id))
	}
	if err := d.Fill(part); err != nil {
		t.Fatal(err)
	}
	b := r.Batch()
	for _, row := range wanted {
		b.LogitRows = append(b.LogitRows, int32(row))
	}
	for _, run := range []func() error{r.Forward, r.Sample, r.Sync} {
		if err := run(); err != nil {
			t.Fatal(err)
		}
	}
	for i, row := range wanted {
		got := make([]float32, r.Info().Vocab)
		if err := r.LogitsRow(got, i); err != nil {
			t.Fatal(err)
		}
		near(t, tolerance, got, right(ids[row]), "wanted row %d of %d", row, len(ids))
	}
}
