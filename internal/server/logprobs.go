package server

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

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
	return &openai.Logprobs{Content: wireTokens(tokens)}
}

// wireThought is the same of the reasoning.
func wireThought(tokens []llm.TextLogprob) *openai.ReasoningLogprobs {
	if tokens == nil {
		return nil
	}
	return &openai.ReasoningLogprobs{Content: wireTokens(tokens)}
}

func wireTokens(tokens []llm.TextLogprob) []openai.TokenLogprob {
	out := []openai.TokenLogprob{}
	for _, t := range tokens {
		one := openai.TokenLogprob{TopLogprob: wireToken(t), TopLogprobs: []openai.TopLogprob{}}
		for _, top := range t.Top {
			one.TopLogprobs = append(one.TopLogprobs, wireToken(top))
		}
		out = append(out, one)
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

// wirePrompt is what the wire has of a prompt's tokens, in vLLM's form; nil for
// none.
func wirePrompt(tokens []llm.PromptTextLogprob) []openai.PromptLogprob {
	var out []openai.PromptLogprob
	for _, t := range tokens {
		if t.Rank == 0 {
			out = append(out, nil)
			continue
		}
		one := openai.PromptLogprob{}
		for i, top := range t.Top {
			one[strconv.Itoa(int(top.ID))] = promptToken(top, i+1)
		}
		one[strconv.Itoa(int(t.ID))] = promptToken(t.TextLogprob, t.Rank)
		out = append(out, one)
	}
	return out
}

func promptToken(t llm.TextLogprob, rank int) openai.PromptToken {
	return openai.PromptToken{Logprob: max(t.Logprob, leastLogprob), Rank: rank, DecodedToken: strings.ToValidUTF8(string(t.Bytes), "\uFFFD")}
}

// textPlace is how far a completion's text has come.
type textPlace struct {
	characters int
	tail       []byte // the beginning of one
}

// logprobs is what the wire has of the tokens that the text goes on with; nil for
// none.
func (p *textPlace) logprobs(tokens []llm.TextLogprob) *openai.TextLogprobs {
	if tokens == nil {
		return nil
	}
	out := &openai.TextLogprobs{}
	for _, t := range tokens {
		out.TextOffset, out.Tokens = append(out.TextOffset, p.characters), append(out.Tokens, textToken(t.Bytes))
		p.pass(t.Bytes)
		if t.Logprob != t.Logprob { // a prompt's first
			out.TokenLogprobs, out.TopLogprobs = append(out.TokenLogprobs, nil), append(out.TopLogprobs, nil)
			continue
		}
		own := max(t.Logprob, leastLogprob)
		top := map[string]float32{textToken(t.Bytes): own}
		for _, likely := range t.Top {
			if _, taken := top[textToken(likely.Bytes)]; !taken { // several tokens may be one text: the likeliest counts
				top[textToken(likely.Bytes)] = max(likely.Logprob, leastLogprob)
			}
		}
		out.TokenLogprobs, out.TopLogprobs = append(out.TokenLogprobs, &own), append(out.TopLogprobs, top)
	}
	return out
}

func (p *textPlace) pass(text []byte) {
	p.tail = append(p.tail, text...)
	for len(p.tail) > 0 && utf8.FullRune(p.tail) {
		_, n := utf8.DecodeRune(p.tail)
		p.tail = p.tail[n:]
		p.characters++
	}
}

// textToken is a token as OpenAI's completions write it.
func textToken(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	s.WriteString("bytes:")
	for _, c := range b {
		fmt.Fprintf(&s, `\x%02x`, c)
	}
	return s.String()
}
