package server

import (
	"strings"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

// leastLogprob stands for a probability of 0, which JSON cannot say.
const leastLogprob = -9999

// wireLogprobs is what the wire has of the tokens of an event; nil for none.
func wireLogprobs(tokens []llm.TextLogprob) *openai.Logprobs {
	if tokens == nil {
		return nil
	}
	out := &openai.Logprobs{Content: []openai.TokenLogprob{}}
	for _, t := range tokens {
		one := openai.TokenLogprob{TopLogprob: wireToken(t), TopLogprobs: []openai.TopLogprob{}}
		for _, top := range t.Top {
			one.TopLogprobs = append(one.TopLogprobs, wireToken(top))
		}
		out.Content = append(out.Content, one)
	}
	return out
}

func wireToken(t llm.TextLogprob) openai.TopLogprob {
	bytes := make([]int, len(t.Bytes))
	for i, b := range t.Bytes {
		bytes[i] = int(b)
	}
	return openai.TopLogprob{
		Token: strings.ToValidUTF8(string(t.Bytes), "\uFFFD"), Logprob: max(t.Logprob, leastLogprob), Bytes: bytes,
	}
}
