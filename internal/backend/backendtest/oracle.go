package backendtest

import (
	"math"

	"github.com/reasond/reasond/internal/backend"
)

// The mathematics of the ops, written down in float64 without a thought for
// speed, pages or batches.

func mul(w [][]float64, x, bias []float64) []float64 {
	out := make([]float64, len(w))
	for n, row := range w {
		for k, v := range row {
			out[n] += v * x[k]
		}
		if bias != nil {
			out[n] += bias[n]
		}
	}
	return out
}

func rmsNorm(x, w []float64, eps float64) []float64 {
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

func gated(gate, up []float64) []float64 {
	out := make([]float64, len(gate))
	for i, g := range gate {
		out[i] = g / (1 + math.Exp(-g)) * up[i]
	}
	return out
}

// attentionOracle is what attention needs beside the spec.
type attentionOracle struct {
	backend.AttentionSpec
	rope         backend.RopeSpec
	qNorm, kNorm []float64 // nil: none
}

// run is the attention at some positions of one sequence of qkv rows.
func (a attentionOracle) run(rows [][]float64, positions []int) [][]float64 {
	heads := func(from, n int, norm []float64, rotate bool) [][][]float64 { // [position][head][dim]
		all := make([][][]float64, len(rows))
		for pos, row := range rows {
			for h := range n {
				x := append([]float64(nil), row[from+h*a.HeadDim:from+(h+1)*a.HeadDim]...)
				if norm != nil {
					x = rmsNorm(x, norm, float64(a.NormEps))
				}
				if rotate {
					a.rotate(x, pos)
				}
				all[pos] = append(all[pos], x)
			}
		}
		return all
	}
	q := heads(0, a.Heads, a.qNorm, true)
	k := heads(a.Heads*a.HeadDim, a.KVHeads, a.kNorm, true)
	v := heads((a.Heads+a.KVHeads)*a.HeadDim, a.KVHeads, nil, false)
	out := make([][]float64, len(positions))
	for i, pos := range positions {
		for h := range a.Heads {
			out[i] = append(out[i], a.head(q[pos][h], k[:pos+1], v[:pos+1], h*a.KVHeads/a.Heads)...)
		}
	}
	return out
}

// rotate multiplies pairs, seen as complex numbers, by Scale*e^(i*pos*Inv).
func (a attentionOracle) rotate(x []float64, pos int) {
	n := len(a.rope.Inv)
	for i, inv := range a.rope.Inv {
		turn := complex(a.rope.Scale*math.Cos(float64(pos)*inv), a.rope.Scale*math.Sin(float64(pos)*inv))
		z := complex(x[i], x[i+n]) * turn
		x[i], x[i+n] = real(z), imag(z)
	}
}

func (a attentionOracle) head(q []float64, k, v [][][]float64, kvHead int) []float64 {
	if a.Window > 0 && len(k) > a.Window {
		k, v = k[len(k)-a.Window:], v[len(v)-a.Window:]
	}
	scores := make([]float64, len(k))
	top := math.Inf(-1)
	for p := range k {
		for i := range q {
			scores[p] += q[i] * k[p][kvHead][i] * float64(a.Scale)
		}
		top = max(top, scores[p])
	}
	out, total := make([]float64, len(q)), 0.0
	for p, s := range scores {
		e := math.Exp(s - top)
		total += e
		for i := range out {
			out[i] += e * v[p][kvHead][i]
		}
	}
	for i := range out {
		out[i] /= total
	}
	return out
}
