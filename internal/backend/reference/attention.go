package reference

import (
	"math"

	"github.com/reasond/reasond/internal/backend"
)

// storeKV normalises and rotates q and k of row r in place and writes its k and
// v to the page of its position.
func (b *Backend) storeKV(row []float32, layer int, a backend.AttentionSpec, r int) {
	pos := int(b.batch.Pos[r])
	heads := func(x []float32, norm backend.Vector) {
		for ; len(x) > 0; x = x[a.HeadDim:] {
			if norm != backend.NoVector {
				rmsNorm(x[:a.HeadDim], x[:a.HeadDim], b.vectors[norm], a.NormEps)
			}
			b.ropes[a.Rope].rotate(x[:a.HeadDim], pos)
		}
	}
	q, k, v := cut(row, a)
	heads(q, a.QNorm)
	heads(k, a.KNorm)
	dstK, dstV := b.kv.token(layer, b.pageOf(r, pos), pos%backend.PageTokens)
	copy(dstK, k)
	copy(dstV, v)
}

// cut divides a row into its queries, keys and values.
func cut(row []float32, a backend.AttentionSpec) (q, k, v []float32) {
	nq, nk := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	return row[:nq], row[nq : nq+nk], row[nq+nk:]
}

// pageOf is the page that holds position pos of the sequence of row r.
func (b *Backend) pageOf(r, pos int) int {
	s := b.batch.Seqs[b.batch.Seq[r]]
	return int(b.batch.Pages[int(s.Table)+pos/backend.PageTokens])
}

// attend writes the attention of row r to out, head by head.
func (b *Backend) attend(out, row []float32, layer int, a backend.AttentionSpec, r int) {
	pos := int(b.batch.Pos[r])
	first := 0
	if a.Window > 0 {
		first = max(0, pos+1-a.Window)
	}
	q, _, _ := cut(row, a)
	score := make([]float64, pos+1-first)
	sums := make([]float64, a.HeadDim)
	for h := range a.Heads {
		kvHead := h / (a.Heads / a.KVHeads)
		head := func(x []float32) []float32 { return x[kvHead*a.HeadDim : (kvHead+1)*a.HeadDim] }
		query := q[h*a.HeadDim : (h+1)*a.HeadDim]
		top := math.Inf(-1)
		if a.Sinks != backend.NoVector {
			top = float64(b.vectors[a.Sinks][h])
		}
		for i := range score {
			p := first + i
			k, _ := b.kv.token(layer, b.pageOf(r, p), p%backend.PageTokens)
			sum := 0.0
			for j, v := range head(k) {
				sum += float64(query[j]) * float64(v)
			}
			score[i] = sum * float64(a.Scale)
			top = math.Max(top, score[i])
		}
		clear(sums)
		total := 0.0
		if a.Sinks != backend.NoVector {
			total = math.Exp(float64(b.vectors[a.Sinks][h]) - top)
		}
		for i, s := range score {
			p := first + i
			_, v := b.kv.token(layer, b.pageOf(r, p), p%backend.PageTokens)
			weight := math.Exp(s - top)
			total += weight
			for j, x := range head(v) {
				sums[j] += weight * float64(x)
			}
		}
		for j, s := range sums {
			out[h*a.HeadDim+j] = float32(s / total)
		}
	}
}
