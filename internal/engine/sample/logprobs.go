package sample

import (
	"math"
	"slices"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// logprobs fills in the log-probabilities of out.Token and of the n likeliest
// tokens under the unmodified logits.
func (s *Sampler) logprobs(out *backend.Sampled, logits []float32, n int) {
	top := logits[0]
	for _, v := range logits {
		top = max(top, v)
	}
	norm := logNorm(logits, top)
	out.Logprob = logprob(logits[out.Token], top, norm)
	out.Top = likeliest(out.Top, logits, n, top, norm)
}

// Score is a token under logits that it was not sampled from, with the n
// likeliest. Of tokens as likely as this one none counts in its rank.
func Score(logits []float32, id int32, n int) (llm.PromptLogprob, error) {
	if hasNaN(logits) {
		return llm.PromptLogprob{}, ErrNaN
	}
	top, v, rank := logits[0], logits[id], 1
	for _, w := range logits {
		if w > v {
			rank++
		}
		top = max(top, w)
	}
	norm := logNorm(logits, top)
	p := llm.PromptLogprob{Rank: rank}
	p.TokenLogprob = llm.TokenLogprob{ID: id, Logprob: logprob(v, top, norm)}
	p.Top = likeliest(nil, logits, n, top, norm)
	return p, nil
}

// likeliest appends to dst the n likeliest tokens.
func likeliest(dst []llm.TokenLogprob, logits []float32, n int, top float32, norm float64) []llm.TokenLogprob {
	if n = min(n, len(logits)); n <= 0 {
		return dst
	}
	dst = topN(slices.Grow(dst, n), logits, n)
	for i := range dst {
		dst[i].Logprob = logprob(dst[i].Logprob, top, norm)
	}
	return dst
}

// logNorm is log(sum(exp(v-top))).
func logNorm(logits []float32, top float32) float64 {
	sum := 0.0
	for _, v := range logits {
		sum += weight(v, top, 1)
	}
	return math.Log(sum)
}

func logprob(v, top float32, norm float64) float32 {
	if v == top {
		return float32(-norm)
	}
	return float32(float64(v) - float64(top) - norm)
}

// topN is the n tokens with the largest logits, likeliest first, with the logit
// in place of the log-probability. n is small: an insertion sort.
func topN(dst []llm.TokenLogprob, logits []float32, n int) []llm.TokenLogprob {
	for i, v := range logits {
		if len(dst) == n {
			if v <= dst[n-1].Logprob {
				continue
			}
			dst = dst[:n-1]
		}
		at := len(dst)
		for at > 0 && v > dst[at-1].Logprob {
			at--
		}
		dst = slices.Insert(dst, at, llm.TokenLogprob{ID: int32(i), Logprob: v})
	}
	return dst
}
