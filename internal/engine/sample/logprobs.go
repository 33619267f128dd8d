package sample

import (
	"math"
	"slices"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// logprobs fills in the log-probabilities of out.Token and of the n likeliest
// tokens under the unmodified logits.
func (s *Sampler) logprobs(out *backend.Sampled, r *Scan, n int) {
	norm := math.Log(r.total())
	out.Logprob = logprob(r.Values[out.Token], r.Top, norm)
	out.Top, s.bars = r.likeliest(out.Top, n, norm, s.bars)
}

// Score is a token under logits that it was not sampled from, with the n
// likeliest. Of tokens as likely as this one none counts in its rank.
func Score(logits []float32, id int32, n int) (llm.PromptLogprob, error) {
	all := make([]Scan, 1)
	r := &all[0]
	r.set(logits, nil, Plain{})
	r.InvT = 1
	Plain{}.Read(all)
	if r.NaN {
		return llm.PromptLogprob{}, ErrNaN
	}
	v, p := logits[id], llm.PromptLogprob{Rank: 1}
	for _, w := range logits {
		if w > v {
			p.Rank++
		}
	}
	norm := math.Log(r.total())
	p.TokenLogprob = llm.TokenLogprob{ID: id, Logprob: logprob(v, r.Top, norm)}
	p.Top, _ = r.likeliest(nil, n, norm, nil)
	return p, nil
}

// likeliest appends to dst the n likeliest tokens.
func (r *Scan) likeliest(dst []llm.TokenLogprob, n int, norm float64, scratch []float32) ([]llm.TokenLogprob, []float32) {
	if n = min(n, len(r.Values)); n <= 0 {
		return dst, scratch
	}
	bar, scratch := r.bar(n, scratch)
	dst = slices.Grow(dst, n)
	r.from(bar, func(id int32, v float32) { dst = insert(dst, n, id, v) })
	for i := range dst {
		dst[i].Logprob = logprob(dst[i].Logprob, r.Top, norm)
	}
	return dst, scratch
}

func logprob(v, top float32, norm float64) float32 {
	if v == top {
		return float32(-norm)
	}
	return float32(float64(v) - float64(top) - norm)
}

// insert keeps in dst the n tokens with the largest logits, likeliest first, with
// the logit in place of the log-probability. Tokens come in order of id. n is small:
// an insertion sort.
func insert(dst []llm.TokenLogprob, n int, id int32, v float32) []llm.TokenLogprob {
	if len(dst) == n {
		if v <= dst[n-1].Logprob {
			return dst
		}
		dst = dst[:n-1]
	}
	at := len(dst)
	for at > 0 && v > dst[at-1].Logprob {
		at--
	}
	return slices.Insert(dst, at, llm.TokenLogprob{ID: id, Logprob: v})
}
