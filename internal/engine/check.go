package engine

import (
	"math"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// maxTopLogprobs bounds SamplingParams.TopLogprobs, as OpenAI's API does.
const maxTopLogprobs = 20

// check validates a request and returns how many tokens, prompt included, one
// choice can reach. Nothing is allocated for a request that fails here.
func (e *Engine) check(req *llm.Request) (limit int, err error) {
	p := req.Prompt
	switch {
	case p.Text != "" || p.Chat != nil:
		return 0, llm.Errorf(llm.Unsupported, "prompt", "This engine takes token ids only.")
	case len(p.IDs) == 0:
		return 0, llm.Errorf(llm.Invalid, "prompt", "The prompt has no tokens.")
	case req.N < 1 || req.N > e.cfg.MaxChoices:
		return 0, llm.Errorf(llm.Invalid, "n", "n is %d, must be 1 to %d.", req.N, e.cfg.MaxChoices)
	}
	if err := checkIDs("prompt", p.IDs, e.info.Vocab); err != nil {
		return 0, err
	}
	if err := checkSampling(&req.Sampling, e.info.Vocab); err != nil {
		return 0, err
	}
	if n := req.PromptLogprobs; n != nil && (*n < 0 || *n > maxTopLogprobs) {
		return 0, llm.Errorf(llm.Invalid, "prompt_logprobs", "prompt_logprobs is %d, out of range.", *n)
	}
	return e.limit(len(p.IDs), req.Sampling.MaxTokens)
}

// limit is the most tokens of one choice: what is asked for, cut at the model's
// context. What the KV pages could never hold is refused.
func (e *Engine) limit(prompt, maxTokens int) (int, error) {
	context := e.cfg.Backend.MaxContext
	if prompt >= context {
		return 0, tooLong("The prompt has %d tokens; the context holds %d, prompt and answer together.", prompt, context)
	}
	limit := context
	if maxTokens < context-prompt {
		limit = prompt + maxTokens
	}
	if pages := e.cfg.Backend.Pages; limit > e.maxContext() {
		return 0, tooLong("Prompt and answer need %d tokens of KV cache; it holds %d.", limit, pages*backend.PageTokens)
	}
	return limit, nil
}

func tooLong(format string, args ...any) error {
	err := llm.Errorf(llm.TooLong, "prompt", format, args...)
	err.Code = "context_length_exceeded"
	return err
}

func checkIDs(param string, ids []int32, vocab int) error {
	for _, id := range ids {
		if id < 0 || int(id) >= vocab {
			return llm.Errorf(llm.Invalid, param, "Token id %d is outside the vocabulary of %d.", id, vocab)
		}
	}
	return nil
}

// checkSampling refuses what no sampler can work with; a NaN fails every range.
func checkSampling(p *llm.SamplingParams, vocab int) error {
	for _, f := range []struct {
		name   string
		value  float64
		lo, hi float64
	}{
		{"temperature", p.Temperature, 0, 100},
		{"top_p", p.TopP, math.SmallestNonzeroFloat64, 1},
		{"min_p", p.MinP, 0, 1},
		{"repetition_penalty", p.RepetitionPenalty, 1e-6, 1e6},
		{"presence_penalty", p.PresencePenalty, -100, 100},
		{"frequency_penalty", p.FrequencyPenalty, -100, 100},
		{"max_tokens", float64(p.MaxTokens), 1, math.MaxInt32},
		{"min_tokens", float64(p.MinTokens), 0, float64(p.MaxTokens)},
		{"top_logprobs", float64(p.TopLogprobs), 0, maxTopLogprobs},
	} {
		if !(f.value >= f.lo && f.value <= f.hi) {
			return llm.Errorf(llm.Invalid, f.name, "%s is %v, out of range.", f.name, f.value)
		}
	}
	for id, bias := range p.LogitBias {
		if id < 0 || int(id) >= vocab {
			return llm.Errorf(llm.Invalid, "logit_bias", "Token id %d is outside the vocabulary of %d.", id, vocab)
		}
		if math.IsNaN(float64(bias)) || math.IsInf(float64(bias), 0) {
			return llm.Errorf(llm.Invalid, "logit_bias", "The bias of token %d is %v.", id, bias)
		}
	}
	return checkIDs("stop_token_ids", p.StopIDs, vocab)
}
