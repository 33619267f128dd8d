//go:build cuda && cgo && linux

package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
	"github.com/reasond/reasond/kernels/cuda"
)

// formatCase makes a matrix in a format; exact says that the device holds its
// values exactly, else they are rounded to bfloat16.
type formatCase struct {
	name  string
	align int // columns are a multiple of it
	exact bool
	make  func(d *device, rows, cols int) weights.Tensor
}

func plain(t quant.DType, exact bool) formatCase {
	return formatCase{t.String(), t.BlockSize(), exact, func(d *device, rows, cols int) weights.Tensor { return d.tensor(t, rows, cols) }}
}

func scaled(t, scales quant.DType, align, blockRows, blockCols int, exact bool) formatCase {
	name := fmt.Sprintf("%v with %v for %dx%d", t, scales, blockRows, blockCols)
	return formatCase{name, align, exact, func(d *device, rows, cols int) weights.Tensor {
		return d.scaled(t, scales, rows, cols, blockRows, blockCols)
	}}
}

var formatCases = []formatCase{
	plain(quant.BF16, true), plain(quant.F16, false), plain(quant.F32, false),
	plain(quant.Q8_0, true), plain(quant.Q4_0, true), plain(quant.Q4_1, true),
	plain(quant.Q4_K, true), plain(quant.Q5_K, true), plain(quant.Q6_K, true), plain(quant.MXFP4, true),
	scaled(quant.F8E4M3, quant.F32, 1, 128, 128, true), scaled(quant.F8E4M3, quant.F32, 8, 1, 1<<20, true),
	scaled(quant.F8E4M3, quant.BF16, 1, 12, 64, true), scaled(quant.F8E4M3, quant.F32, 1, 16, 24, false),
	scaled(quant.I4, quant.F16, 128, 1, 128, true), scaled(quant.I4, quant.BF16, 32, 1, 32, true),
	scaled(quant.I4, quant.F16, 64, 1, 64, true), scaled(quant.I4, quant.F16, 96, 1, 96, true), scaled(quant.I4, quant.F32, 256, 1, 1<<20, false),
}

// product is x·Wᵀ + b in float64, and the sum of the products' sizes: what
// rounding is measured by.
func product(x []float64, rows, stride, from int, w weights.Tensor, bias []float64) (sum, size []float64) {
	values, n, k := w.Float32(), w.Rows(), w.Cols()
	sum, size = make([]float64, rows*n), make([]float64, rows*n)
	for r := range rows {
		for j := range n {
			var s, a float64
			for i, v := range values[j*k : (j+1)*k] {
				p := x[r*stride+from+i] * float64(v)
				s, a = s+p, a+math.Abs(p)
			}
			if bias != nil {
				s, a = s+bias[j], a+math.Abs(bias[j])
			}
			sum[r*n+j], size[r*n+j] = s, a
		}
	}
	return sum, size
}

// near compares columns of a buffer with what they should be. exact weights leave
// the rounding of float32 sums, others that of bfloat16 weights; the output's own
// comes on top.
func (d *device) near(what string, got []float64, cols, first int, want, size []float64, rows int, elem cuda.Elem, exact bool) {
	d.Helper()
	n := len(want) / rows
	for r := range rows {
		for j := range n {
			g, w := got[r*cols+first+j], want[r*n+j]
			tolerance := size[r*n+j] / (1 << 19)
			if !exact {
				tolerance = size[r*n+j] / (1 << 9)
			}
			if elem == cuda.ElemBF16 {
				tolerance += math.Abs(w) / (1 << 8)
			}
			if !(math.Abs(g-w) <= tolerance) {
				d.Fatalf("%s: row %d, column %d is %v, want %v ± %v", what, r, j, g, w, tolerance)
			}
		}
	}
}

// untouched checks that rows from live on still hold what memory was filled with.
func (d *device) untouched(what string, got []float64, cols, live int) {
	d.Helper()
	for i, v := range got[live*cols:] {
		if !math.IsNaN(v) {
			d.Fatalf("%s: row %d behind the batch was written: %v", what, live+i/cols, v)
		}
	}
}

func (d *device) bias(n int) (weights.Tensor, []float64) {
	t := d.tensor(quant.F32, 1, n)
	t.Shape = []int{n}
	values := make([]float64, n)
	for i, v := range t.Float32() {
		values[i] = float64(v)
	}
	return t, values
}

// poison is a buffer of NaN.
func (d *device) poison(elem cuda.Elem, rows, cols int) cuda.Buffer {
	values := make([]float64, rows*cols)
	for i := range values {
		values[i] = math.NaN()
	}
	return d.buffer(elem, cols, values)
}

// round up to what the format takes.
func (c formatCase) columns(least int) int { return (least + c.align - 1) / c.align * c.align }

func TestLinearIsTheProductInEveryFormat(t *testing.T) {
	for i, c := range formatCases {
		t.Run(c.name, func(t *testing.T) {
			d := openDevice(t)
			for j, live := range []int{1, 2, 3, 5, 8, 9, 16, 17, 33, 64, 70} {
				n, k := []int{48, 77, 130, 16}[(i+j)%4], c.columns([]int{64, 200, 1300, 2600, 264}[(i+2*j)%5])
				bucket := live + j%2
				x, values := d.input(cuda.Elem((i+j)/2%2), bucket, live, k+[]int{0, 8, 3}[j%3])
				elem := cuda.Elem(j % 2)
				w := c.make(d, n, k)
				m := cuda.Matrix{Parts: []weights.Tensor{w}}
				var bias []float64
				if j%3 != 0 {
					var b weights.Tensor
					b, bias = d.bias(n)
					m.Bias = []weights.Tensor{b}
				}
				out := d.poison(elem, bucket, n+j%2*3)
				d.rows(live)
				d.scratch.SMs = []int{16, 1}[(i+j/2)%2] // sums of several blocks, or of one
				d.run(cuda.Linear(d.batch, d.scratch, bucket, out, x, d.matrix(m), false))
				want, size := product(values, live, x.Cols, 0, w, bias)
				what := fmt.Sprintf("%d rows of %d by %d", live, n, k)
				got := d.values(out, bucket)
				d.near(what, got, out.Cols, 0, want, size, live, elem, c.exact)
				d.untouched(what, got, out.Cols, live)
			}
		})
	}
}

func TestLinearAddsToTheStream(t *testing.T) {
	d := openDevice(t)
	const n, k, live = 100, 640, 6
	x, values := d.input(cuda.ElemBF16, live, live, k)
	out, before := d.input(cuda.ElemF32, live, live, n)
	w := d.tensor(quant.Q8_0, n, k)
	b, bias := d.bias(n)
	d.rows(live)
	d.run(cuda.Linear(d.batch, d.scratch, live, out, x, d.matrix(cuda.Matrix{Parts: []weights.Tensor{w}, Bias: []weights.Tensor{b}}), true))
	want, size := product(values, live, k, 0, w, bias)
	for i := range want {
		want[i] += before[i]
		size[i] += math.Abs(before[i])
	}
	d.near("sum", d.values(out, live), n, 0, want, size, live, cuda.ElemF32, true)
}

// Merged QKV as Q4_K_M has it: V of another format, a bias for some parts.
func TestPartsOfDifferentFormatsLieSideBySide(t *testing.T) {
	d := openDevice(t)
	const k, live = 512, 5
	formats := []quant.DType{quant.Q4_K, quant.Q4_K, quant.Q6_K, quant.BF16, quant.Q4_K}
	rows := []int{40, 24, 17, 9, 33}
	b, bias := d.bias(rows[1])
	m := cuda.Matrix{Bias: make([]weights.Tensor, len(rows))}
	m.Bias[1] = b
	total := 0
	for i, f := range formats {
		m.Parts = append(m.Parts, d.tensor(f, rows[i], k))
		total += rows[i]
	}
	w := d.matrix(m)
	if w.Out != total || len(w.Parts) != 4 { // the two first are one
		t.Fatalf("%d columns in %d parts", w.Out, len(w.Parts))
	}
	x, values := d.input(cuda.ElemBF16, live, live, k)
	out := d.poison(cuda.ElemF32, live, total)
	d.rows(live)
	d.run(cuda.Linear(d.batch, d.scratch, live, out, x, w, false))
	first := 0
	for i, part := range m.Parts {
		var of []float64
		if i == 1 {
			of = bias
		}
		want, size := product(values, live, k, 0, part, of)
		d.near(fmt.Sprint("part ", i), d.values(out, live), total, first, want, size, live, cuda.ElemF32, true)
		first += rows[i]
	}
}

// act is an activation in float64.
func act(a cuda.Activation, g, u float64) float64 {
	if a.Kind == cuda.Silu {
		return g / (1 + math.Exp(-g)) * u
	}
	g = math.Min(g, float64(a.Limit))
	u = math.Max(-float64(a.Limit), math.Min(u, float64(a.Limit)))
	return (u + 1) * g / (1 + math.Exp(-float64(a.Alpha)*g))
}

var acts = []cuda.Activation{{Kind: cuda.Silu}, {Kind: cuda.ClampedSwiGLU, Alpha: 1.702, Limit: 7}}

// gatedNear allows what bfloat16 outputs and the inputs' rounding leave.
func (d *device) gatedNear(what string, got []float64, a cuda.Activation, gate, up []float64) {
	d.Helper()
	for i := range gate {
		want := act(a, gate[i], up[i])
		if !(math.Abs(got[i]-want) <= math.Abs(want)/100+1e-3) {
			d.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want)
		}
	}
}

func TestGatedLinearJoinsGateAndUp(t *testing.T) {
	for i, c := range formatCases {
		if !c.exact {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			d := openDevice(t)
			for j, live := range []int{1, 7, 20} {
				n, k := []int{24, 30, 71}[(i+j)%3], c.columns(320)
				gate, up := c.make(d, n, k), c.make(d, n, k)
				gateBias, gb := d.bias(n)
				upBias, ub := d.bias(n)
				w := d.matrix(cuda.Matrix{Parts: []weights.Tensor{gate, up}, Bias: []weights.Tensor{gateBias, upBias}, Gated: true})
				x, values := d.input(cuda.ElemBF16, live+1, live, k)
				out := d.poison(cuda.ElemBF16, live+1, n)
				d.rows(live)
				a := acts[(i+j)%2]
				d.run(cuda.GatedLinear(d.batch, d.scratch, live+1, out, x, w, a))
				g, _ := product(values, live, k, 0, gate, gb)
				u, _ := product(values, live, k, 0, up, ub)
				got := d.values(out, live+1)
				d.gatedNear(fmt.Sprint(live, " rows"), got, a, g, u)
				d.untouched("gated", got, n, live)
			}
		})
	}
}

// A matrix a head: columns of the input and the output belong to heads.
func TestHeadLinearMultipliesEachHead(t *testing.T) {
	d := openDevice(t)
	const heads, n, k, xStride, xOffset, outStride = 5, 40, 72, 104, 16, 48
	for _, c := range []formatCase{plain(quant.BF16, true), scaled(quant.F8E4M3, quant.F32, 1, 128, 128, true)} {
		for _, live := range []int{1, 9, 130} {
			var ws []weights.Tensor
			var ms []cuda.Matrix
			for range heads {
				ws = append(ws, c.make(d, n, k))
				ms = append(ms, cuda.Matrix{Parts: ws[len(ws)-1:]})
			}
			x, values := d.input(cuda.ElemBF16, live, live, heads*xStride)
			out := d.poison(cuda.ElemBF16, live, heads*outStride)
			d.rows(live)
			d.run(cuda.HeadLinear(d.batch, d.scratch, live, out, x, d.matrix(ms...), cuda.Heads{XOffset: xOffset, XStride: xStride, OutStride: outStride}))
			got := d.values(out, live)
			for h, w := range ws {
				want, size := product(values, live, x.Cols, h*xStride+xOffset, w, nil)
				d.near(fmt.Sprint("head ", h), got, out.Cols, h*outStride, want, size, live, cuda.ElemBF16, true)
			}
			for r := range live {
				for h := range heads {
					for c := n; c < outStride; c++ {
						if v := got[r*out.Cols+h*outStride+c]; !math.IsNaN(v) {
							t.Fatalf("column %d between the heads was written: %v", h*outStride+c, v)
						}
					}
				}
			}
		}
	}
}

// What is added up does not depend on the neighbours, nor on the order in which
// blocks finish.
func TestLinearDoesNotDependOnTheBatch(t *testing.T) {
	d := openDevice(t)
	const n, k, live = 64, 2048, 60
	w := d.matrix(cuda.Matrix{Parts: []weights.Tensor{d.tensor(quant.Q4_0, n, k)}})
	x, _ := d.input(cuda.ElemBF16, live, live, k)
	var all []float64
	for _, rows := range []int{60, 32, 16, 5, 1} {
		out := d.poison(cuda.ElemF32, rows, n)
		d.rows(rows)
		d.run(cuda.Linear(d.batch, d.scratch, rows, out, x, w, false))
		got := d.values(out, rows)
		if all == nil {
			all = got
		}
		for i, v := range got {
			if v != all[i] {
				t.Fatalf("%d rows: element %d is %v, with 60 rows %v", rows, i, v, all[i])
			}
		}
	}
}

func TestDequantisedMatricesMultiplyAlike(t *testing.T) {
	for i, c := range formatCases {
		t.Run(c.name, func(t *testing.T) {
			d := openDevice(t)
			n, k := []int{50, 130, 16}[i%3], c.columns([]int{200, 320, 40}[(i/2)%3])
			w := c.make(d, n, k)
			m := d.matrix(cuda.Matrix{Parts: []weights.Tensor{w}})
			dense := d.upload(make([]byte, m.DenseBytes()))
			launches, rows, stride, err := cuda.Dequant(m, 0, dense)
			d.run(launches, err)
			if rows != n || stride < k || stride%8 != 0 {
				t.Fatalf("%d rows of %d", rows, stride)
			}
			got := d.values(cuda.Buffer{Ptr: dense, Elem: cuda.ElemBF16, Cols: stride}, rows)
			for j, v := range w.Float32() {
				if g := got[j/k*stride+j%k]; math.Abs(g-float64(v)) > math.Abs(float64(v))/256+1e-9 {
					t.Fatalf("element %d of row %d is %v, want %v", j%k, j/k, g, v)
				}
			}
			const live = 70
			x, values := d.input(cuda.ElemBF16, live+3, live, k)
			out := d.poison(cuda.ElemF32, live+3, n)
			d.rows(live)
			d.one(cuda.Gemm(d.batch, live+3, out, x, dense, n, k, stride, 0, false))
			want, size := product(values, live, k, 0, w, nil)
			d.near("gemm", d.values(out, live), n, 0, want, size, live, cuda.ElemF32, false)
		})
	}
}

func TestGemmIsTheProduct(t *testing.T) {
	d := openDevice(t)
	for i, c := range []struct{ live, bucket, n, k, cols int }{
		{64, 64, 128, 64, 64}, {1, 2, 9, 33, 33}, {130, 256, 200, 72, 80}, {300, 300, 129, 160, 160}, {129, 129, 31, 20, 24},
	} {
		for _, elem := range []cuda.Elem{cuda.ElemBF16, cuda.ElemF32} {
			w := d.tensor(quant.BF16, c.n, c.k)
			b, bias := d.bias(c.n)
			m := d.matrix(cuda.Matrix{Parts: []weights.Tensor{w}, Bias: []weights.Tensor{b}})
			ptr, n, stride, ok := m.Dense()
			if !ok || n != c.n {
				t.Fatal("not dense")
			}
			x, values := d.input(cuda.ElemBF16, c.bucket, c.live, c.cols)
			out, before := d.input(elem, c.bucket, c.live, c.n+i%2)
			add := elem == cuda.ElemF32
			d.rows(c.live)
			d.one(cuda.Gemm(d.batch, c.bucket, out, x, ptr, n, c.k, stride, m.Ptr+cuda.Ptr(m.Parts[0].Bias), add))
			want, size := product(values, c.live, c.cols, 0, w, bias)
			if add {
				for j := range want {
					v := before[j/n*out.Cols+j%n]
					want[j], size[j] = want[j]+v, size[j]+math.Abs(v)
				}
			}
			got := d.values(out, c.bucket)
			d.near(fmt.Sprintf("%+v", c), got, out.Cols, 0, want, size, c.live, elem, true)
			d.untouched("gemm", got, out.Cols, c.live)
		}
	}
}

func TestActivationOfAnInterleavedProduct(t *testing.T) {
	d := openDevice(t)
	for i, cols := range []int{24, 30, 2100} {
		for _, elem := range []cuda.Elem{cuda.ElemBF16, cuda.ElemF32} {
			live := 3
			wide := (cols + 7) / 8 * 16
			x, values := d.input(elem, live+1, live, wide)
			bt, bias := d.bias(wide)
			out := d.poison(cuda.ElemBF16, live+1, cols)
			d.rows(live)
			d.one(cuda.ActivateInterleaved(d.batch, live+1, out, x, d.upload(bt.Data), acts[i%2]))
			gate, up := make([]float64, live*cols), make([]float64, live*cols)
			for j := range gate {
				c := j%cols/8*16 + j%cols%8
				gate[j], up[j] = values[j/cols*wide+c]+bias[c], values[j/cols*wide+c+8]+bias[c+8]
			}
			got := d.values(out, live+1)
			d.gatedNear("activation", got, acts[i%2], gate, up)
			d.untouched("activation", got, cols, live)
		}
	}
}
