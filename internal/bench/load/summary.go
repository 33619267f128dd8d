package load

import (
	"slices"
	"time"

	"github.com/reasond/reasond/internal/bench"
)

// Level is one run's figures.
type Level struct {
	Concurrency int     `json:"concurrency"`     // clients, or with a rate the most at once; 0: no bound
	Rate        float64 `json:"rate,omitempty"`  // asked for, requests/s
	Requests    int     `json:"requests"`        // that ended
	OK          int     `json:"ok"`              // without an error
	Interrupted int     `json:"interrupted"`     // cut by the end of the run
	Wall        float64 `json:"wall_s"`          //
	Busy        float64 `json:"client_cpu_s"`    //
	Served      float64 `json:"requests_per_s"`  // without an error
	Output      float64 `json:"output_tokens_s"` // of requests without an error
	Input       float64 `json:"input_tokens_s"`  //

	PromptTokens     float64 `json:"prompt_tokens"` // in the mean of a request
	CachedTokens     float64 `json:"cached_tokens"`
	CompletionTokens float64 `json:"completion_tokens"`
	ReasoningTokens  float64 `json:"reasoning_tokens"`
	TokensPerDelta   float64 `json:"tokens_per_delta"` // over 1: the server sends several at once; 0: not streamed

	TTFT   *Times `json:"ttft_ms"`   // to the first token; null: not streamed
	Answer *Times `json:"answer_ms"` // to the first token behind reasoning; null: none
	ITL    *Times `json:"itl_ms"`    // from delta to delta
	TPOT   *Times `json:"tpot_ms"`   // of a token after the first, in a request's mean
	E2E    *Times `json:"e2e_ms"`

	SLO     string  `json:"slo,omitempty"`
	Goodput float64 `json:"goodput_per_s"` // requests that kept the SLO
	Kept    float64 `json:"slo_kept"`      // their share of all that ended

	Errors map[string]int    `json:"errors"`         // by kind
	Says   map[string]string `json:"says,omitempty"` // what the first of each kind said
}

// Times are quantiles and the mean in milliseconds.
type Times struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// timesOf is nil where there are none.
func timesOf(list []time.Duration) *Times {
	if len(list) == 0 {
		return nil
	}
	ms := milliseconds(list)
	sum := 0.0
	for _, v := range ms {
		sum += v
	}
	return &Times{
		Mean: sum / float64(len(ms)), P50: bench.Quantile(ms, 0.5), P90: bench.Quantile(ms, 0.9), P99: bench.Quantile(ms, 0.99), Max: slices.Max(ms),
	}
}

func milliseconds(list []time.Duration) []float64 {
	ms := make([]float64, len(list))
	for i, d := range list {
		ms[i] = float64(d) / float64(time.Millisecond)
	}
	return ms
}

// lists are the times of requests without an error.
type lists struct{ ttft, answer, itl, tpot, e2e []time.Duration }

func listsOf(requests []Request) lists {
	var l lists
	add := func(to *[]time.Duration, d time.Duration) {
		if d > 0 {
			*to = append(*to, d)
		}
	}
	for i := range requests {
		r := &requests[i]
		if r.Kind != "" {
			continue
		}
		add(&l.ttft, r.First)
		add(&l.answer, r.Answer)
		add(&l.tpot, r.perToken())
		l.itl, l.e2e = append(l.itl, r.gaps()...), append(l.e2e, r.Total)
	}
	return l
}

// Summary is what an outcome comes to.
func Summary(cfg *Config, out *Outcome) *Level {
	l := &Level{
		Concurrency: cfg.Concurrency, Rate: cfg.Rate, Requests: len(out.Requests), Interrupted: out.Interrupted,
		Wall: out.Wall.Seconds(), Busy: out.Busy.Seconds(), SLO: cfg.SLO.String(), Errors: map[string]int{}, Says: map[string]string{},
	}
	kept, deltas := 0, 0
	for i := range out.Requests {
		r := &out.Requests[i]
		if r.Kind != "" {
			if l.Errors[r.Kind]++; l.Errors[r.Kind] == 1 {
				l.Says[r.Kind] = r.Err
			}
			continue
		}
		l.OK++
		deltas += len(r.At)
		l.PromptTokens, l.CachedTokens = l.PromptTokens+float64(r.Prompt), l.CachedTokens+float64(r.Cached)
		l.CompletionTokens, l.ReasoningTokens = l.CompletionTokens+float64(r.tokens()), l.ReasoningTokens+float64(r.Reasoning)
		if cfg.SLO.kept(r) {
			kept++
		}
	}
	if l.Wall > 0 {
		l.Served, l.Goodput = float64(l.OK)/l.Wall, float64(kept)/l.Wall
		l.Output, l.Input = l.CompletionTokens/l.Wall, l.PromptTokens/l.Wall
	}
	if deltas > 0 {
		l.TokensPerDelta = l.CompletionTokens / float64(deltas)
	}
	if l.Requests > 0 {
		l.Kept = float64(kept) / float64(l.Requests)
	}
	for _, total := range []*float64{&l.PromptTokens, &l.CachedTokens, &l.CompletionTokens, &l.ReasoningTokens} {
		*total /= float64(max(l.OK, 1))
	}
	t := listsOf(out.Requests)
	l.TTFT, l.Answer, l.ITL, l.TPOT, l.E2E = timesOf(t.ttft), timesOf(t.answer), timesOf(t.itl), timesOf(t.tpot), timesOf(t.e2e)
	return l
}
