//go:build cuda && cgo && linux

package cuda_test

import (
	"math"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
	"github.com/reasond/reasond/kernels/cuda"
)

// chosen is what a router does with a row's logits, in float64 and by sorting.
func chosen(logits, correction []float64, topK int, r cuda.Router) (ids []int, weights []float64) {
	n := len(logits)
	score, value := slices.Clone(logits), slices.Clone(logits)
	largest, sum := slices.Max(logits), 0.0
	for e := range n {
		switch r.Scoring {
		case cuda.SoftmaxThenTopK:
			value[e] = math.Exp(logits[e] - largest)
			sum += value[e]
		case cuda.SigmoidTopK:
			value[e] = 1 / (1 + math.Exp(-logits[e]))
			score[e] = value[e]
		}
		if correction != nil {
			score[e] += correction[e]
		}
	}
	order := func(n int, less func(a, b int) int) []int {
		ids := make([]int, n)
		for i := range ids {
			ids[i] = i
		}
		slices.SortStableFunc(ids, less)
		return ids
	}
	allowed := make([]bool, n)
	if r.Groups == 0 {
		for e := range allowed {
			allowed[e] = true
		}
	} else {
		size := n / r.Groups
		best := make([]float64, r.Groups)
		for g := range best {
			s := slices.Clone(score[g*size : (g+1)*size])
			slices.Sort(s)
			best[g] = s[size-1]
			if size > 1 {
				best[g] += s[size-2]
			}
		}
		for _, g := range order(r.Groups, func(a, b int) int { return cmp(best[b], best[a]) })[:r.TopGroups] {
			for e := g * size; e < (g+1)*size; e++ {
				allowed[e] = true
			}
		}
	}
	ids = order(n, func(a, b int) int { return cmp(score[b], score[a]) })
	ids = slices.DeleteFunc(ids, func(e int) bool { return !allowed[e] })[:topK]
	total := 0.0
	for _, e := range ids {
		w := value[e]
		switch r.Scoring {
		case cuda.SoftmaxThenTopK:
			w /= sum
		case cuda.TopKThenSoftmax:
			w = math.Exp(logits[e] - logits[ids[0]])
		}
		weights, total = append(weights, w), total+w
	}
	for k := range weights {
		if r.Normalize || r.Scoring == cuda.TopKThenSoftmax {
			weights[k] /= total
		}
		weights[k] *= float64(r.Scale)
	}
	return ids, weights
}

func cmp(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestRoutersChooseAsTheMathematicsSays(t *testing.T) {
	d := openDevice(t)
	for i, c := range []struct {
		experts, topK int
		corrected     bool
		cuda.Router
	}{
		{8, 2, false, cuda.Router{Scoring: cuda.SoftmaxThenTopK, Normalize: true, Scale: 1}},
		{128, 8, false, cuda.Router{Scoring: cuda.SoftmaxThenTopK, Normalize: true, Scale: 1}},
		{60, 4, false, cuda.Router{Scoring: cuda.SoftmaxThenTopK, Scale: 2.5}},
		{512, 16, false, cuda.Router{Scoring: cuda.SoftmaxThenTopK, Scale: 1}},
		{32, 4, false, cuda.Router{Scoring: cuda.TopKThenSoftmax, Scale: 1}},
		{3, 3, false, cuda.Router{Scoring: cuda.TopKThenSoftmax, Scale: 1}},
		{256, 8, true, cuda.Router{Scoring: cuda.SigmoidTopK, Normalize: true, Scale: 2.5, Groups: 8, TopGroups: 4}},
		{64, 6, true, cuda.Router{Scoring: cuda.SigmoidTopK, Scale: 1}},
		{6, 3, false, cuda.Router{Scoring: cuda.SigmoidTopK, Normalize: true, Scale: 1, Groups: 6, TopGroups: 3}},
		{512, 16, true, cuda.Router{Scoring: cuda.SigmoidTopK, Normalize: true, Scale: 1, Groups: 32, TopGroups: 1}},
	} {
		const live = 21
		logits := make([]float64, (live+1)*c.experts)
		for j := range logits {
			logits[j] = float64(d.rng.IntN(65)-32) / 8 // many ties
		}
		correction := make([]float64, c.experts)
		if c.corrected {
			for e := range correction {
				correction[e] = float64(d.rng.IntN(9)-4) / 8
			}
			c.Correction = d.buffer(cuda.ElemF32, c.experts, correction).Ptr
		}
		out := cuda.Routing{Experts: c.experts, TopK: c.topK}
		pairs := (live + 1) * c.topK
		out.IDs, out.Weights = d.upload(slices.Repeat([]byte{0xee}, 4*pairs)), d.poison(cuda.ElemF32, pairs, 1).Ptr
		d.rows(live)
		d.one(cuda.Route(d.batch, live+1, out, d.buffer(cuda.ElemF32, c.experts, logits), c.Router))
		ids, got := d.ints(out.IDs, pairs), d.values(cuda.Buffer{Ptr: out.Weights, Elem: cuda.ElemF32, Cols: 1}, pairs)
		for r := range live {
			row := logits[r*c.experts : (r+1)*c.experts]
			want, weights := chosen(row, correction, c.topK, c.Router)
			if c.Scoring == cuda.SigmoidTopK && c.Groups > 0 && close(row, correction, c.Router) {
				continue // sums of rounded sigmoids: whether they tie is a matter of rounding
			}
			for k := range c.topK {
				at := r*c.topK + k
				if int(ids[at]) != want[k] || !(math.Abs(got[at]-weights[k]) <= 1e-5*(weights[k]+1e-3)) {
					t.Fatalf("case %d, row %d: expert %d is %d with %v, want %d with %v", i, r, k, ids[at], got[at], want[k], weights[k])
				}
			}
		}
		if ids[live*c.topK] != -0x11111112 || !math.IsNaN(got[live*c.topK]) {
			t.Fatalf("case %d: a row behind the batch was written", i)
		}
	}
}

// close reports whether two groups' sums are so near that rounding decides.
func close(logits, correction []float64, r cuda.Router) bool {
	size := len(logits) / r.Groups
	sums := make([]float64, r.Groups)
	for g := range sums {
		var s []float64
		for e := g * size; e < (g+1)*size; e++ {
			s = append(s, 1/(1+math.Exp(-logits[e]))+correction[e])
		}
		slices.Sort(s)
		for _, v := range s[max(0, size-2):] {
			sums[g] += v
		}
	}
	slices.Sort(sums)
	for g := range sums[1:] {
		if d := sums[g+1] - sums[g]; d > 0 && d < 1e-5 || size > 1 && d == 0 {
			return true
		}
	}
	return false
}

// expertCase is a layer of experts and how its rows spread over them.
type expertCase struct {
	name          string
	make          formatCase
	act           cuda.Activation
	experts, topK int
	rows          int
	biased        bool
	pick          func(d *device, r, k int) int32 // of row r
}

func spread(n int) func(*device, int, int) int32 {
	return func(_ *device, r, k int) int32 { return int32((r*7 + k*3) % n) }
}

func expertCases() (cases []expertCase) {
	silu, clamped := acts[0], acts[1]
	one := func(_ *device, _, k int) int32 { return int32(2 + k) } // all on the same
	for i, f := range formatCases {
		if f.exact {
			cases = append(cases, expertCase{f.name, f, acts[i%2], 5, 2, []int{3, 40}[i/2%2], i%3 == 0, spread(5)})
		}
	}
	return append(cases,
		expertCase{"one token", formatCases[0], silu, 8, 4, 1, false, spread(8)},
		expertCase{"one expert each", formatCases[0], silu, 300, 1, 70, false, spread(300)},
		expertCase{"all on the same", formatCases[9], clamped, 6, 2, 150, true, one},
	)
}

func TestExpertsAreTheWeightedSumOfTheChosen(t *testing.T) {
	for i, c := range expertCases() {
		t.Run(c.name, func(t *testing.T) {
			d := openDevice(t)
			cols, inner := c.make.columns(128), c.make.columns([]int{64, 72}[i%2])
			gates, ups, downs := make([]weights.Tensor, c.experts), make([]weights.Tensor, c.experts), make([]weights.Tensor, c.experts)
			var first, second []cuda.Matrix
			var gb, ub, db [][]float64
			for e := range c.experts {
				gates[e], ups[e], downs[e] = c.make.make(d, inner, cols), c.make.make(d, inner, cols), c.make.make(d, cols, inner)
				up, down := cuda.Matrix{Parts: []weights.Tensor{gates[e], ups[e]}, Gated: true}, cuda.Matrix{Parts: downs[e : e+1]}
				gb, ub, db = append(gb, nil), append(ub, nil), append(db, nil)
				if c.biased {
					up.Bias, down.Bias = make([]weights.Tensor, 2), make([]weights.Tensor, 1)
					up.Bias[0], gb[e] = d.bias(inner)
					up.Bias[1], ub[e] = d.bias(inner)
					down.Bias[0], db[e] = d.bias(cols)
				}
				first, second = append(first, up), append(second, down)
			}
			live := c.rows
			ids, mix := make([]int32, (live+1)*c.topK), make([]float64, (live+1)*c.topK)
			for j := range ids {
				ids[j], mix[j] = -1, math.NaN()
				if j < live*c.topK {
					ids[j], mix[j] = c.pick(d, j/c.topK, j%c.topK), float64(1+d.rng.IntN(64))/64
				}
			}
			by := cuda.Routing{Experts: c.experts, TopK: c.topK, IDs: d.upload(bytesOf(ids)), Weights: d.buffer(cuda.ElemF32, c.topK, mix).Ptr}
			x, values := d.input(cuda.ElemBF16, live+1, live, cols)
			for j := range values {
				values[j] /= 8
			}
			x = d.buffer(cuda.ElemBF16, cols, values)
			add := i%2 == 0
			elem := cuda.Elem(i % 3 % 2)
			if add {
				elem = cuda.ElemF32
			}
			out, before := d.input(elem, live+1, live, cols)
			memory := d.alloc(int(cuda.ExpertsBytes(live+1, by, inner, cols)))
			d.rows(live)
			d.run(cuda.Experts(d.batch, d.scratch, live+1, out, x, by, d.matrix(first...), d.matrix(second...), c.act, add, memory))

			want, size := make([]float64, live*cols), make([]float64, live*cols)
			for r := range live {
				for k := range c.topK {
					e := int(ids[r*c.topK+k])
					g, _ := product(values[r*cols:(r+1)*cols], 1, cols, 0, gates[e], gb[e])
					u, _ := product(values[r*cols:(r+1)*cols], 1, cols, 0, ups[e], ub[e])
					for j := range g {
						g[j] = act(c.act, g[j], u[j])
					}
					y, s := product(g, 1, inner, 0, downs[e], db[e])
					for j := range y {
						want[r*cols+j] += mix[r*c.topK+k] * y[j]
						size[r*cols+j] += mix[r*c.topK+k] * s[j]
					}
				}
			}
			if add {
				for j := range want {
					want[j] += before[j]
				}
			}
			got := d.values(out, live+1)
			for j := range want {
				if tolerance := size[j]/200 + math.Abs(want[j])/200; !(math.Abs(got[j]-want[j]) <= tolerance) {
					t.Fatalf("row %d, column %d is %v, want %v ± %v", j/cols, j%cols, got[j], want[j], tolerance)
				}
			}
			d.untouched("experts", got, cols, live)

			// The same once more: neither the order of slots nor that of blocks shows.
			if add {
				out = d.buffer(elem, cols, before)
			}
			d.run(cuda.Experts(d.batch, d.scratch, live+1, out, x, by, d.matrix(first...), d.matrix(second...), c.act, add, memory))
			for j, v := range d.values(out, live) {
				if v != got[j] {
					t.Fatalf("element %d was %v, now %v", j, got[j], v)
				}
			}
		})
	}
}

func TestLaunchersRefuseWhatDoesNotFit(t *testing.T) {
	tensor := func(rows, cols int) weights.Tensor {
		return weights.Tensor{Name: "w", DType: quant.BF16, Shape: []int{rows, cols}, Data: make([]byte, 2*rows*cols)}
	}
	layout := func(m cuda.Matrix) cuda.Weights {
		l, err := cuda.NewLayout(m)
		if err != nil {
			t.Fatal(err)
		}
		return cuda.Weights{Layout: l, Ptr: 1 << 20, Count: 1}
	}
	w := layout(cuda.Matrix{Parts: []weights.Tensor{tensor(32, 64)}})
	gated := layout(cuda.Matrix{Parts: []weights.Tensor{tensor(32, 64), tensor(32, 64)}, Gated: true})
	stack := w
	stack.Count = 3
	s := cuda.Scratch{SMs: 4, Partials: 1 << 12, Counters: 1 << 13}
	x, out := cuda.Buffer{Ptr: 256, Cols: 64}, cuda.Buffer{Ptr: 512, Cols: 32}
	f32 := cuda.Buffer{Ptr: 512, Cols: 32, Elem: cuda.ElemF32}
	narrow := cuda.Buffer{Ptr: 256, Cols: 63}
	var b cuda.Batch
	linear := func(s cuda.Scratch, rows int, out, x cuda.Buffer, w cuda.Weights, add bool) error {
		_, err := cuda.Linear(b, s, rows, out, x, w, add)
		return err
	}
	if err := linear(s, 8, f32, x, w, true); err != nil {
		t.Fatal(err)
	}
	_, gatedErr := cuda.GatedLinear(b, s, 8, out, x, w, acts[0])
	_, gatedF32 := cuda.GatedLinear(b, s, 8, f32, x, gated, acts[0])
	_, heads := cuda.HeadLinear(b, s, 8, out, x, stack, cuda.Heads{XStride: 64, OutStride: 32})
	_, gemm := cuda.Gemm(b, 8, out, x, 256, 32, 64, 60, 0, false)
	_, route := cuda.Route(b, 8, cuda.Routing{IDs: 256, Weights: 256, Experts: 30, TopK: 2}, cuda.Buffer{Ptr: 256, Cols: 30, Elem: cuda.ElemF32}, cuda.Router{Groups: 4, TopGroups: 2})
	_, shapes := cuda.NewLayout(cuda.Matrix{Parts: []weights.Tensor{tensor(32, 64), tensor(32, 65)}})
	_, uneven := cuda.NewLayout(cuda.Matrix{Parts: []weights.Tensor{tensor(32, 64), tensor(24, 64)}, Gated: true})
	for i, err := range []error{
		linear(s, 0, out, x, w, false), linear(s, 8, out, x, w, true), linear(s, 8, out, narrow, w, false), linear(s, 8, x, x, stack, false),
		linear(s, 8, out, x, gated, false), linear(cuda.Scratch{}, 8, out, x, w, false), linear(s, 8, cuda.Buffer{Ptr: 512, Cols: 31}, x, w, false),
		gatedErr, gatedF32, heads, gemm, route, shapes, uneven,
	} {
		if err == nil {
			t.Errorf("case %d was accepted", i)
		}
	}
}

// Bits a weight, as docs say they are kept close to the file's.
func TestPackedWeightsAreAboutAsLargeAsTheFile(t *testing.T) {
	for _, c := range []struct {
		t    quant.DType
		most float64
	}{{quant.Q8_0, 8.5}, {quant.Q4_0, 4.5}, {quant.Q4_1, 5}, {quant.Q4_K, 4.63}, {quant.Q5_K, 5.63}, {quant.Q6_K, 6.63}, {quant.MXFP4, 4.25}, {quant.BF16, 16}} {
		w := weights.Tensor{DType: c.t, Shape: []int{256, 2048}}
		w.Data = make([]byte, 256*w.RowBytes())
		l, err := cuda.NewLayout(cuda.Matrix{Parts: []weights.Tensor{w}})
		if err != nil {
			t.Fatal(err)
		}
		if bits := float64(l.Bytes*8) / float64(w.Elements()); bits > c.most {
			t.Errorf("%v takes %.3f bits a weight", c.t, bits)
		}
	}
	scale := weights.Tensor{DType: quant.F32, Shape: []int{4, 16}, Data: make([]byte, 256)}
	for _, gated := range []bool{false, true} {
		w := weights.Tensor{DType: quant.F8E4M3, Shape: []int{512, 2048}, Data: make([]byte, 512*2048), Scale: &scale, ScaleBlock: [2]int{128, 128}}
		l, err := cuda.NewLayout(cuda.Matrix{Parts: []weights.Tensor{w, w}, Gated: gated})
		if err != nil {
			t.Fatal(err)
		}
		if bits := float64(l.Bytes*8) / float64(2*w.Elements()); bits > 8.04 {
			t.Errorf("%v takes %.3f bits a weight, gated %v", w.DType, bits, gated)
		}
	}
}
