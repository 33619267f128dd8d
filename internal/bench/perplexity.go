package bench

import (
	"context"
	"errors"
	"math"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// Perplexity is what a model makes of a text: e to the mean of the negative
// log-probabilities of its tokens, each given those before it in its window.
type Perplexity struct {
	Value  float64 `json:"value"`
	Tokens int     `json:"tokens"` // that were scored
	Window int     `json:"window"` // tokens
	Mean   float64 `json:"mean_nll"`
	Error  float64 `json:"mean_nll_error"` // standard error of Mean
}

// MeasurePerplexity cuts ids into windows that do not overlap and scores every
// token but each window's first; what does not fill a window is scored as a
// shorter one. chunk is the most rows of a step.
func MeasurePerplexity(ctx context.Context, src *weights.Model, open Opener, ids []int32, window, chunk, threads int, exact bool, progress Progress) (*Result, error) {
	if len(ids) < 2 || window < 2 {
		return nil, errors.New("perplexity needs a text of two tokens, and a window of two")
	}
	pages := PagesFor(window)
	size := backend.Config{
		Float32: exact, MaxRows: chunk, MaxSeqs: 1, MaxContext: pages * backend.PageTokens, Pages: pages, Threads: threads,
	}
	be, err := open(size)
	if err != nil {
		return nil, err
	}
	defer be.Close()
	loaded, err := model.Load(src, be, weights.Shard{Size: 1})
	if err != nil {
		return nil, err
	}
	s := &scorer{driver: NewDriver(be, size, chunk), logits: make([]float32, be.Info().Vocab)}
	for at := 0; at < len(ids); at += window {
		if progress != nil {
			progress(at, len(ids), "perplexity")
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.window(ids[at:min(at+window, len(ids))]); err != nil {
			return nil, err
		}
	}
	if progress != nil {
		progress(len(ids), len(ids), "")
	}
	r := newResult()
	r.describe(src, be, &loaded.Config, exact)
	r.Perplexity = s.perplexity(window)
	return r, nil
}

// scorer adds up negative log-probabilities.
type scorer struct {
	driver       *Driver
	logits       []float32
	n            int
	sum, squares float64
}

// window scores a text from its second token on.
func (s *scorer) window(ids []int32) error {
	for at := 0; at < len(ids); at += s.driver.chunk {
		part := ids[at:min(at+s.driver.chunk, len(ids))]
		if err := s.driver.score(part, at); err != nil {
			return err
		}
		for i := range part {
			if at+i+1 == len(ids) {
				break
			}
			if err := s.driver.be.LogitsRow(s.logits, i); err != nil {
				return err
			}
			v := negativeLog(s.logits, ids[at+i+1])
			s.n, s.sum, s.squares = s.n+1, s.sum+v, s.squares+v*v
		}
	}
	return nil
}

func (s *scorer) perplexity(window int) *Perplexity {
	n := float64(s.n)
	p := &Perplexity{Tokens: s.n, Window: window, Mean: s.sum / n}
	p.Value = math.Exp(p.Mean)
	if s.n > 1 {
		p.Error = math.Sqrt(max(s.squares/n-p.Mean*p.Mean, 0) / (n - 1))
	}
	return p
}

// negativeLog is -ln of the softmax of logits at id.
func negativeLog(logits []float32, id int32) float64 {
	top := float64(logits[0])
	for _, v := range logits {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum) - float64(logits[id])
}
