//go:build cuda && cgo && linux

package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/reasond/reasond/kernels/cuda"
)

// Widths of rows: with and without a rest behind the vectors of eight, one step of
// a block and several.
var widths = []int{8, 20, 64, 257, 1000, 5120}

func norm(x, w []float64, eps float64) []float64 {
	square := 0.0
	for _, v := range x {
		square += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / math.Sqrt(square/float64(len(x))+eps) * w[i]
	}
	return out
}

func TestRMSNorm(t *testing.T) {
	const rows, bucket = 3, 4
	for _, cols := range widths {
		elems(func(in, out cuda.Elem) {
			t.Run(fmt.Sprintf("%d %v to %v", cols, in, out), func(t *testing.T) {
				r := newRig(t, uint64(cols))
				r.header(cuda.HeaderRows, rows, cuda.HeaderLogits, 2)
				r.batch.LogitRows = r.ints(2, 0, -1, -1)
				x, w := spoil(r.normal(bucket*cols), rows*cols), r.normal(cols)
				bx, bw := r.buffer(in, cols, x), r.elements(cuda.ElemF32, w)
				y := cuda.Buffer{Ptr: r.nan(bucket * cols * out.Size()), Elem: out, Cols: cols}
				r.one(cuda.RMSNorm(r.batch, bucket, y, bx, bw, 1e-5))
				got := r.values(y, bucket)
				for i := range rows {
					r.near(rounding(out), got[i], norm(x[i*cols:][:cols], w, 1e-5), "row %d", i)
				}
				r.untouched(got[rows:], "norm")

				y.Ptr = r.nan(bucket * cols * out.Size())
				r.one(cuda.RMSNormRows(r.batch, bucket, y, bx, bw, 1e-5))
				got = r.values(y, bucket)
				for i, row := range []int{2, 0} {
					r.near(rounding(out), got[i], norm(x[row*cols:][:cols], w, 1e-5), "wanted row %d", i)
				}
				r.untouched(got[2:], "norm of wanted rows")
			})
		})
	}
}

func TestElementwise(t *testing.T) {
	const rows, bucket = 3, 4
	for _, cols := range widths {
		elems(func(in, out cuda.Elem) {
			t.Run(fmt.Sprintf("%d %v to %v", cols, in, out), func(t *testing.T) {
				r := newRig(t, uint64(cols))
				r.header(cuda.HeaderRows, rows)
				x, sum := spoil(r.normal(bucket*cols), rows*cols), spoil(r.normal(bucket*cols), rows*cols)
				bx := r.buffer(in, cols, x)
				y := cuda.Buffer{Ptr: r.nan(bucket * cols * out.Size()), Elem: out, Cols: cols}
				r.one(cuda.Cast(r.batch, bucket, y, bx))
				got := r.values(y, bucket)
				for i := range rows {
					r.near(rounding(out), got[i], x[i*cols:][:cols], "cast, row %d", i)
				}
				r.untouched(got[rows:], "cast")

				for i := rows * cols; i < len(sum); i++ {
					sum[i] = 7 // and stays so
				}
				y = r.buffer(out, cols, sum)
				r.one(cuda.Add(r.batch, bucket, y, bx))
				got = r.values(y, bucket)
				for i := range rows {
					want := make([]float64, cols)
					for j := range want {
						want[j] = sum[i*cols+j] + x[i*cols+j]
					}
					r.near(rounding(out), got[i], want, "add, row %d", i)
				}
				r.near(0, got[rows], sum[rows*cols:], "add, padding row")

				gated := spoil(r.normal(bucket*2*cols), rows*2*cols)
				for i := range gated {
					gated[i] *= 4 // over the limits
				}
				bg := r.buffer(in, 2*cols, gated)
				for kind, act := range []func(g, u float64) float64{
					func(g, u float64) float64 { return g / (1 + math.Exp(-g)) * u },
					func(g, u float64) float64 {
						g, u = min(g, 7), max(-7, min(u, 7))
						return (u + 1) * g / (1 + math.Exp(-1.702*g))
					},
				} {
					y.Ptr = r.nan(bucket * cols * out.Size())
					r.one(cuda.Activate(r.batch, bucket, y, bg, kind, 1.702, 7))
					got = r.values(y, bucket)
					for i := range rows {
						want := make([]float64, cols)
						for j := range want {
							want[j] = act(gated[i*2*cols+j], gated[i*2*cols+cols+j])
						}
						r.near(rounding(out), got[i], want, "activation %d, row %d", kind, i)
					}
					r.untouched(got[rows:], "activation")
				}
			})
		})
	}
}

func TestCopyPages(t *testing.T) {
	const pages, planes, bytes, copies = 50, 3, 96, 20
	r := newRig(t, 1)
	data := make([]byte, planes*pages*bytes)
	for i := range data {
		data[i] = byte(r.rng.Uint32())
	}
	var bases []uint64
	for p := range planes {
		bases = append(bases, uint64(r.bytes(data[p*pages*bytes:][:pages*bytes])))
	}
	var list []int32
	order := r.rng.Perm(pages)
	for i := range copies {
		list = append(list, int32(order[i]), int32(order[pages-1-i]))
	}
	r.batch.Copies = r.ints(append(list, 1<<30, 1<<30)...)
	r.header(cuda.HeaderCopies, copies)
	r.one(cuda.CopyPages(r.batch, r.words(bases...), planes, bytes))
	for p := range planes {
		want := data[p*pages*bytes:][:pages*bytes]
		for i := range copies {
			copy(want[list[2*i+1]*bytes:][:bytes], want[list[2*i]*bytes:][:bytes])
		}
		if got := r.download(cuda.Ptr(bases[p]), pages*bytes); string(got) != string(want) {
			t.Errorf("plane %d is not what the copies make of it", p)
		}
	}
}
