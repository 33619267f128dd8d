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

// draw samples from a row whose largest allowed value is top.
// Candidates are drawn in order of id, so that a slightly different
// distribution draws, nearly always, the same token.
func (s *Sampler) draw(r *Scan, top float32, st *State, pos int) int32 {
	p := &st.params
	u, invT := Uniform(p.Seed, st.choice, pos), 1/p.Temperature
	if p.TopK > 0 {
		s.keepTopK(r, top, p.TopK, invT, p.MinP)
		if p.TopP < 1 {
			s.kept = s.kept[:nucleus(s.kept, total(s.kept)*p.TopP)]
		}
		slices.SortFunc(s.kept, func(a, b candidate) int { return cmp.Compare(a.id, b.id) })
		return drawFrom(s.kept, u)
	}
	if p.TopP < 1 {
		all := r.total()
		s.keepHeavy(r, all*(1-p.TopP)/float64(len(r.Values)))
		s.keepUpTo(r, last(s.kept[:nucleus(s.kept, all*p.TopP)]))
		return drawFrom(s.kept, u)
	}
	return r.draw(r.total() * u)
}

// keepTopK leaves in s.kept the k first candidates whose weight is at least
// minP.
func (s *Sampler) keepTopK(r *Scan, top float32, k int, invT, minP float64) {
	var bar float32
	bar, s.bars = r.bar(k, s.bars)
	s.kept = s.kept[:0]
	r.from(bar, func(id int32, v float32) {
		if w := weight(v, top, invT); w >= minP && w > 0 {
			s.kept = append(s.kept, candidate{w, v, id})
		}
	})
	if len(s.kept) > k {
		partition(s.kept, k)
		s.kept = s.kept[:k]
	}
}

// keepHeavy puts tokens with a weight of at least least into s.kept. With least =
// (1-topP)*total/vocab those left out sum to less than (1-topP)*total, so
// the nucleus is never among them.
func (s *Sampler) keepHeavy(r *Scan, least float64) {
	// what a value must reach, with room for the rounding of both functions
	bar := float64(r.Top) + (math.Log(max(least, 1e-300))-1e-6)/r.InvT
	s.kept = s.kept[:0]
	r.from(math.Nextafter32(float32(bar), float32(math.Inf(-1))), func(id int32, v float32) {
		if w := r.weight(v); w >= least && w > 0 {
			s.kept = append(s.kept, candidate{w, v, id})
		}
	})
}

// keepUpTo leaves in s.kept, in order of id, c and the tokens that come before it.
func (s *Sampler) keepUpTo(r *Scan, c candidate) {
	s.kept = s.kept[:0]
	r.from(c.value, func(id int32, v float32) {
		if x := (candidate{r.weight(v), v, id}); x.weight > 0 && !c.before(x) {
			s.kept = append(s.kept, x)
		}
	})
}

func total(kept []candidate) float64 {
	sum := 0.0
	for _, c := range kept {
		sum += c.weight
	}
	return sum
}

// drawFrom draws one of some candidates.
func drawFrom(kept []candidate, u float64) int32 {
	target, sum := total(kept)*u, 0.0
	for _, c := range kept {
		if sum += c.weight; sum > target {
			return c.id
		}
	}
	return kept[len(kept)-1].id // rounding: the target is a hair above the sum
}

// draw is the token at which the weights, added up, exceed target: the sums say in
// which block.
func (r *Scan) draw(target float64) int32 {
	sum, next, in := 0.0, 0.0, -1
	for b, w := range r.Sums {
		if w == 0 {
			continue
		}
		in, sum = b, next
		if next += w; next > target {
			break
		}
	}
	words, final := r.words(in), 0
	for i, v := range r.block(in) {
		w := 0.0
		if allowed(words, i) {
			w = r.weight(v)
		}
		if w == 0 {
			continue
		}
		final = i
		if sum += w; sum > target {
			break
		}
	}
	return int32(in*Block + final)
}
