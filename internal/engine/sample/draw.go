package sample

import (
	"cmp"
	"math"
	"slices"
)

// candidate is a token that may still be drawn. weight is its probability
// relative to the likeliest token's, after temperature.
type candidate struct {
	weight float64
	value  float32
	id     int32
}

// before is the total order of candidates: likelier first, then lower ids.
func (c candidate) before(d candidate) bool {
	return c.value > d.value || c.value == d.value && c.id < d.id
}

// weight is exp((v-top)*invT), where top is the largest value. Both may be +Inf.
func weight(v, top float32, invT float64) float64 {
	if v == top {
		return 1
	}
	return expNeg((float64(v) - float64(top)) * invT)
}

// draw samples from values, whose largest is top and none of which is NaN.
// Candidates are drawn in order of id, so that a slightly different
// distribution draws, nearly always, the same token.
func (s *Sampler) draw(values []float32, top float32, st *State, pos int) int32 {
	p := &st.params
	u, invT := Uniform(p.Seed, st.choice, pos), 1/p.Temperature
	if p.TopK > 0 && p.TopK < len(values) {
		s.keepTopK(values, top, p.TopK, invT, p.MinP)
		if p.TopP < 1 {
			total := 0.0
			for _, c := range s.kept {
				total += c.weight
			}
			s.kept = s.kept[:nucleus(s.kept, total*p.TopP)]
		}
		return drawSparse(s.kept, u)
	}
	total := s.weigh(values, top, invT, p.MinP)
	if p.TopP < 1 {
		s.gather(values, total*(1-p.TopP)/float64(len(values)))
		n := nucleus(s.kept, total*p.TopP)
		total = s.cut(values, last(s.kept[:n]))
	}
	return drawDense(s.weights, total*u)
}

// keepTopK leaves in s.kept the k first candidates whose weight is at least
// minP. It reads values once: candidates gather in a buffer that is cut back to
// the k first whenever it is full, which raises the bar for those that follow.
func (s *Sampler) keepTopK(values []float32, top float32, k int, invT, minP float64) {
	limit := 4*k + 64
	s.kept = slices.Grow(s.kept[:0], limit)
	bar := float32(math.Inf(-1))
	for i, v := range values {
		if v <= bar { // an equal one later in the row has the higher id
			continue
		}
		w := weight(v, top, invT)
		if w < minP || w == 0 {
			continue
		}
		s.kept = append(s.kept, candidate{w, v, int32(i)})
		if len(s.kept) == limit {
			partition(s.kept, k)
			s.kept = s.kept[:k]
			bar = last(s.kept).value
		}
	}
	if len(s.kept) > k {
		partition(s.kept, k)
		s.kept = s.kept[:k]
	}
}

// weigh fills s.weights, 0 where minP excludes a token, and returns the sum.
func (s *Sampler) weigh(values []float32, top float32, invT, minP float64) float64 {
	s.weights = slices.Grow(s.weights[:0], len(values))[:len(values)]
	total := 0.0
	for i, v := range values {
		w := weight(v, top, invT)
		if w < minP {
			w = 0
		}
		s.weights[i] = w
		total += w
	}
	return total
}

// gather puts tokens with a weight of at least least into s.kept. With least =
// (1-topP)*total/vocab those left out sum to less than (1-topP)*total, so
// the nucleus is never among them.
func (s *Sampler) gather(values []float32, least float64) {
	s.kept = s.kept[:0]
	for i, w := range s.weights {
		if w >= least && w > 0 {
			s.kept = append(s.kept, candidate{w, values[i], int32(i)})
		}
	}
}

// cut excludes the tokens that come after c and returns the sum of the weights.
func (s *Sampler) cut(values []float32, c candidate) float64 {
	total := 0.0
	for i, v := range values {
		if v < c.value || v == c.value && int32(i) > c.id {
			s.weights[i] = 0
		}
		total += s.weights[i]
	}
	return total
}

func drawDense(weights []float64, target float64) int32 {
	sum, final := 0.0, 0
	for i, w := range weights {
		if w == 0 {
			continue
		}
		if sum += w; sum > target {
			return int32(i)
		}
		final = i
	}
	return int32(final) // rounding: target is a hair above the sum
}

func drawSparse(kept []candidate, u float64) int32 {
	slices.SortFunc(kept, func(a, b candidate) int { return cmp.Compare(a.id, b.id) })
	total := 0.0
	for _, c := range kept {
		total += c.weight
	}
	sum := 0.0
	for _, c := range kept {
		if sum += c.weight; sum > total*u {
			return c.id
		}
	}
	return kept[len(kept)-1].id
}
