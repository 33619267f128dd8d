//go:build cuda && cgo && linux

package cuda_test

import (
	"fmt"
	"testing"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
	"github.com/reasond/reasond/kernels/cuda"
)

// rowsOf is a matrix's values.
func rowsOf(t weights.Tensor) (rows [][]float64) {
	values, k := t.Float32(), t.Cols()
	for i := range t.Rows() {
		row := make([]float64, k)
		for j, v := range values[i*k : (i+1)*k] {
			row[j] = float64(v)
		}
		rows = append(rows, row)
	}
	return rows
}

func TestEmbedGivesTheTablesRowsInEveryFormat(t *testing.T) {
	for _, c := range formatCases {
		for _, least := range []int{40, 300} {
			cols := c.columns(least)
			for _, out := range []cuda.Elem{cuda.ElemF32, cuda.ElemBF16} {
				t.Run(fmt.Sprintf("%s %d to %v", c.name, cols, out), func(t *testing.T) {
					r := newRig(t, uint64(cols))
					table := c.make(r.device, 37, cols)
					tolerance := rounding(out)
					if !c.exact {
						tolerance *= 2
						tolerance = max(tolerance, rounding(cuda.ElemBF16))
					}
					r.embeds(table, rowsOf(table), cols, out, tolerance)
				})
			}
		}
	}
}

// A table of two formats, and of some ranks' tokens only.
func TestEmbedOfPartsAndOfAShare(t *testing.T) {
	r := newRig(t, 5)
	a, b := r.tensor(quant.Q8_0, 21, 96), r.tensor(quant.BF16, 16, 96)
	r.embedsParts([]weights.Tensor{a, b}, append(rowsOf(a), rowsOf(b)...), 96, cuda.ElemF32, 1e-5)
}

func (r *rig) embeds(table weights.Tensor, rows [][]float64, cols int, out cuda.Elem, tolerance float64) {
	r.embedsParts([]weights.Tensor{table}, rows, cols, out, tolerance)
}

func (r *rig) embedsParts(parts []weights.Tensor, rows [][]float64, cols int, out cuda.Elem, tolerance float64) {
	r.Helper()
	const first, bucket = 100, 16
	tokens := []int32{100, 136, 115, 116, 107, 108, 99, 137, 0, ^1, 120, ^2}
	last := []int32{0, 133, 5}
	r.header(cuda.HeaderRows, len(tokens))
	r.batch.Token = r.ints(append(append([]int32{}, tokens...), 1<<30, 1<<30, 1<<30, 1<<30)...)
	r.batch.LastToken = r.ints(last...)
	y := cuda.Buffer{Ptr: r.nan(bucket * cols * out.Size()), Elem: out, Cols: cols}
	r.run(cuda.Embed(r.batch, bucket, y, r.matrix(cuda.Matrix{Parts: parts}), first))
	got := r.values(y, bucket)
	for i, id := range tokens {
		if id < 0 {
			id = last[^id]
		}
		want := make([]float64, cols)
		if id >= first && int(id) < first+len(rows) {
			want = rows[id-first]
		}
		r.near(tolerance, got[i], want, "token %d", id)
	}
	r.untouched(got[len(tokens):], "embed")
}
