package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// routeCase is a router under test.
type routeCase struct {
	backend.RouterSpec
	experts    int
	biased     bool
	correction bool
	twins      bool // every second expert has the logits of the one before it
	skewed     bool // expert 0 is chosen by every row
}

func (c routeCase) String() string {
	return fmt.Sprintf("scoring %d top %d of %d groups %d of %d normalize %v bias %v correction %v twins %v",
		c.Scoring, c.TopK, c.experts, c.TopGroups, c.Groups, c.Normalize, c.biased, c.correction, c.twins)
}

var routeCases = func() []routeCase {
	spec := func(s backend.Scoring, topK int, normalize bool, scale float32, groups ...int) backend.RouterSpec {
		r := backend.RouterSpec{Scoring: s, TopK: topK, Normalize: normalize, Scale: scale, Correction: backend.NoVector}
		if groups != nil {
			r.Groups, r.TopGroups = groups[0], groups[1]
		}
		return r
	}
	const soft, top, sigmoid = backend.SoftmaxThenTopK, backend.TopKThenSoftmax, backend.SigmoidTopK
	return []routeCase{
		{RouterSpec: spec(soft, 2, true, 1), experts: 8}, {RouterSpec: spec(soft, 8, true, 1), experts: 128},
		{RouterSpec: spec(soft, 4, false, 2.5), experts: 60}, {RouterSpec: spec(soft, 4, true, 1), experts: 4},
		{RouterSpec: spec(soft, 3, true, 1), experts: 40, twins: true}, {RouterSpec: spec(soft, 1, false, 1), experts: 5},
		{RouterSpec: spec(top, 4, false, 1), experts: 32, biased: true}, {RouterSpec: spec(top, 4, false, 1), experts: 128, biased: true},
		{RouterSpec: spec(top, 1, false, 1), experts: 8}, {RouterSpec: spec(top, 3, false, 1), experts: 16, biased: true, twins: true},
		{RouterSpec: spec(sigmoid, 8, true, 2.5, 8, 4), experts: 256, correction: true},
		{RouterSpec: spec(sigmoid, 4, true, 1.5, 4, 2), experts: 16, correction: true}, {RouterSpec: spec(sigmoid, 6, false, 1), experts: 64},
		{RouterSpec: spec(sigmoid, 2, true, 1, 4, 1), experts: 32, correction: true, twins: true},
		{RouterSpec: spec(sigmoid, 5, true, 1), experts: 384, correction: true}, {RouterSpec: spec(sigmoid, 3, true, 1, 6, 3), experts: 6},
	}
}()

// router makes the Linear of a router and its inputs, such that logits come out
// exactly whatever the order and the format of sums: small integers in the
// inputs, multiples of 1/8 in the weights, of 1/16 in biases and corrections.
// want[token] is the weight of each expert, 0 for those not chosen; a token
// whose choice would hang on rounding is drawn again.
func (r *rig) router(c routeCase, cols int) (input weights.Tensor, w backend.Linear, spec backend.RouterSpec, want [][]float64) {
	step := func(most int, unit float32) float32 { return float32(r.rng.IntN(2*most+1)-most) * unit }
	matrix, bias, correction := make([]float32, c.experts*cols), make([]float32, c.experts), make([]float32, c.experts)
	for i := range matrix {
		matrix[i] = step(4, 1.0/8)
	}
	for e := range bias {
		bias[e], correction[e] = step(16, 1.0/16), step(8, 1.0/16)
		if c.twins && e%2 == 1 {
			copy(matrix[e*cols:(e+1)*cols], matrix[(e-1)*cols:])
			bias[e], correction[e] = bias[e-1], correction[e-1]
		}
	}
	if !c.biased {
		clear(bias)
	}
	if c.skewed {
		bias[0] = 64
	}
	if !c.correction {
		clear(correction)
	}
	linear := backend.LinearSpec{Name: "router", Parts: []weights.Tensor{floats(matrix, c.experts, cols)}}
	if c.biased || c.skewed {
		linear.Bias = []weights.Tensor{floats(bias, c.experts)}
	}
	w, err := r.NewLinear(linear)
	must(r.T, w, err)
	spec = c.RouterSpec
	if c.correction {
		spec.Correction = r.vector(correction...)
	}
	var rows []float32
	for len(want) < maxRows {
		row := make([]float32, cols)
		for range 12 { // most are 0: logits stay moderate
			row[r.rng.IntN(cols)] = step(3, 1)
		}
		logits := make([]float64, c.experts)
		for e := range logits {
			logits[e] = float64(bias[e])
			for i, v := range row {
				logits[e] += float64(v) * float64(matrix[e*cols+i])
			}
		}
		if weights, clear := route(logits, correction, c.RouterSpec); clear {
			rows, want = append(rows, row...), append(want, weights)
		}
	}
	return floats(rows, maxRows, cols), w, spec, want
}

// routing checks which experts are chosen, exactly, and their weights: expert
// e's matrices make a constant in column e of the output whatever comes in.
func (s suite) routing(t *testing.T) {
	for i, c := range routeCases {
		t.Run(c.String(), func(t *testing.T) {
			const cols, inner, constant = 64, 32, 1.5
			r := newRig(t, s, s.config(), uint64(i))
			input, w, spec, want := r.router(c, cols)
			outs := (c.experts + 31) / 32 * 32
			gateUp, down := r.constants(c.experts, cols, inner, outs, constant)
			by, err := r.NewRouting(c.TopK)
			must(t, by, err)
			x, y, e, o := r.buffer(cols), r.buffer(outs), r.linear(input), r.readBack(outs)
			r.noKV()
			act := backend.Activation{Kind: backend.ClampedSwiGLU, Limit: 1}
			r.build(func(p backend.Program) {
				p.Embed(x, e)
				p.Route(by, x, w, spec)
				p.Experts(y, x, by, gateUp, down, act, false)
				o.emit(p, y)
			})
			for id, row := range want {
				want[id] = make([]float64, outs)
				for e, v := range row {
					want[id][e] = v * constant
				}
			}
			r.rowwise(o, want, s.tol.Dense)
			r.chosen(o, want)
		})
	}
}

// constants are experts whose result is constant*(column == expert): Alpha 0
// makes the activation (up+1)*gate/2, and the biases are gate 1 and up 0.
func (r *rig) constants(experts, cols, inner, outs int, constant float32) (gateUp, down backend.Stack) {
	zeros, ones := floats(make([]float32, inner*cols), inner, cols), make([]float32, inner)
	for i := range ones {
		ones[i] = 1
	}
	var ups, downs []backend.LinearSpec
	for e := range experts {
		ups = append(ups, backend.LinearSpec{Name: "gate_up", Gated: true,
			Parts: []weights.Tensor{zeros, zeros}, Bias: []weights.Tensor{floats(ones, inner), floats(make([]float32, inner), inner)}})
		column := make([]float32, outs*inner)
		for i := range inner {
			column[e*inner+i] = 2 * constant / float32(inner)
		}
		downs = append(downs, backend.LinearSpec{Name: "down", Parts: []weights.Tensor{floats(column, outs, inner)}})
	}
	return r.stack(ups), r.stack(downs)
}

func (r *rig) stack(specs []backend.LinearSpec) backend.Stack {
	r.Helper()
	s, err := r.NewStack(specs)
	return must(r.T, s, err)
}

// chosen holds every token's row to the zeros of the right one.
func (r *rig) chosen(o reader, want [][]float64) {
	d := NewDriver(r.Backend, r.cfg, 5)
	for id := range want {
		seq := &Sequence{}
		got := step(r.T, d, Part{Seq: seq, Tokens: []int32{int32(id)}, Want: 1})[0].Logits[0]
		d.Free(seq)
		for i, v := range o.pick(want[id]) {
			if (got[i] != 0) != (v != 0) {
				r.Errorf("token %d: expert %d has weight %g, must have %g", id, o.columns[i], got[i], v)
			}
		}
	}
}

// route is the mathematics of a router, and whether its choice is clear: no two
// scores that it hangs on are nearer than rounding, unless they are equal.
func route(logits []float64, correction []float32, s backend.RouterSpec) (out []float64, clear bool) {
	scores := slices.Clone(logits)
	switch s.Scoring {
	case backend.SoftmaxThenTopK:
		scores = softmax(logits)
	case backend.SigmoidTopK:
		for i, v := range logits {
			scores[i] = 1 / (1 + math.Exp(-v))
		}
	}
	choice := slices.Clone(scores)
	for i, c := range correction {
		choice[i] += float64(c)
	}
	clear = true
	top := func(scores []float64, k int) []int {
		order := make([]int, len(scores))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case scores[a] > scores[b]:
				return -1
			case scores[a] < scores[b]:
				return 1
			}
			return 0
		})
		if k < len(order) {
			last, next := scores[order[k-1]], scores[order[k]]
			clear = clear && (last == next || last-next > 1e-4*math.Abs(last))
		}
		return order[:k]
	}
	if s.Groups > 0 {
		size := len(choice) / s.Groups
		sums := make([]float64, s.Groups)
		for g := range sums {
			group := slices.Sorted(slices.Values(choice[g*size : (g+1)*size]))
			for _, v := range group[max(0, size-2):] {
				sums[g] += v
			}
		}
		kept := top(sums, s.TopGroups)
		for i := range choice {
			if !slices.Contains(kept, i/size) {
				choice[i] = math.Inf(-1)
			}
		}
	}
	chosen := top(choice, s.TopK)
	var picked []float64
	sum := 0.0
	for _, e := range chosen {
		picked, sum = append(picked, scores[e]), sum+scores[e]
	}
	out = make([]float64, len(logits))
	switch {
	case s.Scoring == backend.TopKThenSoftmax:
		picked = softmax(picked)
	case s.Normalize:
		for i := range picked {
			picked[i] /= sum
		}
	}
	for i, e := range chosen {
		out[e] = picked[i] * float64(s.Scale)
	}
	return out, clear
}
