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
	sinks        []float64 // one a head; nil: none
}

// run is the attention at some positions of one sequence of qkv rows.
func (a attentionOracle) run(rows [][]float64, positions []int) [][]float64 {
	heads := func(from, n int, norm []float64, rotated bool) [][][]float64 { // [position][head][dim]
		all := make([][][]float64, len(rows))
		for pos, row := range rows {
			for h := range n {
				x := append([]float64(nil), row[from+h*a.HeadDim:from+(h+1)*a.HeadDim]...)
				if norm != nil {
					x = rmsNorm(x, norm, float64(a.NormEps))
				}
				if rotated {
					rotate(x, a.rope, pos)
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
			out[i] = append(out[i], a.head(q[pos][h], k[:pos+1], v[:pos+1], h)...)
		}
	}
	return out
}

// rotate multiplies pairs, seen as complex numbers, by Scale*e^(i*pos*Inv). The
// result lies half by half.
func rotate(x []float64, rope backend.RopeSpec, pos int) {
	n := len(rope.Inv)
	pairs := append([]float64(nil), x...)
	for i, inv := range rope.Inv {
		turn := complex(rope.Scale*math.Cos(float64(pos)*inv), rope.Scale*math.Sin(float64(pos)*inv))
		z := complex(pairs[i], pairs[i+n])
		if rope.Interleaved {
			z = complex(pairs[2*i], pairs[2*i+1])
		}
		z *= turn
		x[i], x[i+n] = real(z), imag(z)
	}
}

func (a attentionOracle) head(q []float64, k, v [][][]float64, h int) []float64 {
	if a.Window > 0 && len(k) > a.Window {
		k, v = k[len(k)-a.Window:], v[len(v)-a.Window:]
	}
	var keys, values [][]float64
	for p := range k {
		keys, values = append(keys, k[p][h*a.KVHeads/a.Heads]), append(values, v[p][h*a.KVHeads/a.Heads])
	}
	var sink []float64
	if a.sinks != nil {
		sink = a.sinks[h : h+1]
	}
	return attend(q, keys, values, float64(a.Scale), sink)
}

// attend is softmax(q·Kᵀ*scale)·V; the sink, if any, is one more score that has
// no value.
func attend(q []float64, k, v [][]float64, scale float64, sink []float64) []float64 {
	var scores []float64
	for _, key := range k {
		s := 0.0
		for i := range q {
			s += q[i] * key[i]
		}
		scores = append(scores, s*scale)
	}
	weights := softmax(append(scores, sink...))
	out := make([]float64, len(v[0]))
	for p, value := range v {
		for i, x := range value {
			out[i] += weights[p] * x
		}
	}
	return out
}

func softmax(x []float64) []float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	out, total := make([]float64, len(x)), 0.0
	for i, v := range x {
		out[i] = math.Exp(v - top)
		total += out[i]
	}
	for i := range out {
		out[i] /= total
	}
	return out
}
