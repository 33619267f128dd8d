package remote

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/reasond/reasond/internal/llm"
)

// frame is one chunk of an upstream's stream, of either endpoint.
type frame struct {
	Choices []frameChoice `json:"choices"`
	Usage   *frameUsage   `json:"usage"`
	Timings *struct {
		Cached int `json:"cache_n"`
	} `json:"timings"` // llama-server
	Error json.RawMessage `json:"error"`
	// SGLang's and LMDeploy's errors lie at the top level.
	Object  string          `json:"object"`
	Message string          `json:"message"`
	Code    json.RawMessage `json:"code"`
}

type frameChoice struct {
	Index        int             `json:"index"`
	Delta        *frameDelta     `json:"delta"`         // chat
	Text         string          `json:"text"`          // completions
	FinishReason string          `json:"finish_reason"` // "" until the choice ends
	StopReason   json.RawMessage `json:"stop_reason"`   // vLLM: what matched, id or string
	MatchedStop  json.RawMessage `json:"matched_stop"`  // SGLang: the same
	Logprobs     *frameLogprobs  `json:"logprobs"`
	TokenIDs     []int32         `json:"token_ids"`  // vLLM, SGLang
	GenTokens    []int32         `json:"gen_tokens"` // LMDeploy
}

type frameDelta struct {
	Content          string            `json:"content"`
	Reasoning        string            `json:"reasoning"`
	ReasoningContent string            `json:"reasoning_content"`
	Thinking         string            `json:"thinking"`
	ToolCalls        []json.RawMessage `json:"tool_calls"`
}

type frameUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Reasoning  int `json:"reasoning_tokens"` // SGLang
	InPrompt   *struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	InCompletion *struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

func (u *frameUsage) usage() *llm.Usage {
	out := &llm.Usage{Prompt: u.Prompt, Completion: u.Completion, Reasoning: u.Reasoning}
	if u.InPrompt != nil {
		out.Cached = u.InPrompt.Cached
	}
	if u.InCompletion != nil {
		out.Reasoning = u.InCompletion.Reasoning
	}
	return out
}

// thought is the delta's reasoning: the first of the names that is filled, for
// a server may send the same text under two.
func (d *frameDelta) thought(names []string) string {
	for _, name := range names {
		text := d.Reasoning
		switch name {
		case "reasoning_content":
			text = d.ReasoningContent
		case "thinking":
			text = d.Thinking
		}
		if text != "" {
			return text
		}
	}
	return ""
}

// frameLogprobs has the chat form, Content, or the form of completions.
type frameLogprobs struct {
	Content       []frameToken         `json:"content"`
	Tokens        []string             `json:"tokens"`
	TokenLogprobs []*float32           `json:"token_logprobs"`
	TopLogprobs   []map[string]float32 `json:"top_logprobs"`
}

type frameToken struct {
	ID      *int32       `json:"id"` // llama-server
	Token   string       `json:"token"`
	Bytes   []int        `json:"bytes"`
	Logprob float32      `json:"logprob"`
	Top     []frameToken `json:"top_logprobs"`
}

// logprobs are the tokens with at most top of the likeliest each: an upstream
// may add the one that was sampled.
func (l *frameLogprobs) logprobs(top int) []llm.Logprobs {
	if l == nil {
		return nil
	}
	var out []llm.Logprobs
	for _, t := range l.Content {
		p := llm.Logprobs{TokenLogprob: t.logprob()}
		for _, likely := range t.Top[:min(top, len(t.Top))] {
			p.Top = append(p.Top, likely.logprob())
		}
		out = append(out, p)
	}
	for i, token := range l.Tokens {
		if i >= len(l.TokenLogprobs) || l.TokenLogprobs[i] == nil {
			continue
		}
		p := llm.Logprobs{TokenLogprob: named(token, *l.TokenLogprobs[i])}
		if i < len(l.TopLogprobs) {
			likely := likeliest(l.TopLogprobs[i])
			p.Top = likely[:min(top, len(likely))]
		}
		out = append(out, p)
	}
	return out
}

func (t frameToken) logprob() llm.TokenLogprob {
	if t.ID != nil && *t.ID >= 0 {
		return llm.TokenLogprob{ID: *t.ID, Logprob: t.Logprob, Text: t.Token}
	}
	if t.Bytes == nil {
		return named(t.Token, t.Logprob)
	}
	text := make([]byte, len(t.Bytes))
	for i, b := range t.Bytes {
		text[i] = byte(b)
	}
	p := named(t.Token, t.Logprob)
	if p.ID < 0 {
		p.Text = string(text)
	}
	return p
}

// named is a token by its text, or by its id in vLLM's spelling.
func named(token string, logprob float32) llm.TokenLogprob {
	if digits, ok := strings.CutPrefix(token, "token_id:"); ok {
		if id, err := strconv.ParseInt(digits, 10, 32); err == nil && id >= 0 {
			return llm.TokenLogprob{ID: int32(id), Logprob: logprob}
		}
	}
	return llm.TokenLogprob{ID: -1, Logprob: logprob, Text: token}
}

// likeliest orders what JSON has as an object.
func likeliest(tokens map[string]float32) []llm.TokenLogprob {
	var out []llm.TokenLogprob
	for token, logprob := range tokens {
		out = append(out, named(token, logprob))
	}
	slices.SortFunc(out, func(a, b llm.TokenLogprob) int {
		return cmp.Or(cmp.Compare(b.Logprob, a.Logprob), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Text, b.Text))
	})
	return out
}

// finish is how the upstream says that a choice ended.
func (c *frameChoice) finish(last int32, eos func(int32) bool) llm.Finish {
	fin := llm.Finish{Reason: reason(c.FinishReason), StopID: -1}
	switch fin.Reason {
	case llm.FinishStop:
		matched := c.StopReason
		if len(matched) == 0 || string(matched) == "null" {
			matched = c.MatchedStop
		}
		id := int32(-1)
		if json.Unmarshal(matched, &id) == nil {
			fin.StopID = id // null leaves it at -1
		} else {
			_ = json.Unmarshal(matched, &fin.StopText) // neither: nothing is said
		}
		if fin.StopText == "" && fin.StopID < 0 && eos(last) {
			fin.StopID = last
		}
	case llm.FinishError, llm.FinishAbort:
		fin.Err = llm.Errorf(llm.Internal, "", "the upstream ended the answer with %s", cmp.Or(c.FinishReason, "no reason"))
	}
	return fin
}

// reason is the upstream's finish_reason in our words. What a filter cut is
// said as it is; anything unknown counts as a stop.
func reason(theirs string) llm.FinishReason {
	switch theirs {
	case "length", "tool_calls", "error", "abort", "content_filter":
		return llm.FinishReason(theirs)
	case "function_call":
		return llm.FinishToolCalls
	}
	return llm.FinishStop
}
