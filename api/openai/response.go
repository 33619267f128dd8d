package openai

import (
	"encoding/json"
	"strconv"
)

// ChatCompletion is the answer that is not streamed. Every member is always
// present; null and empty say that there is nothing.
type ChatCompletion struct {
	ID      string   `json:"id"`     // chatcmpl-…
	Object  string   `json:"object"` // chat.completion
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []Choice `json:"choices"`
	Usage   Usage    `json:"usage"`
}

// Choice is one whole answer.
type Choice struct {
	Index        int          `json:"index"`
	Message      ReplyMessage `json:"message"`
	Logprobs     *Logprobs    `json:"logprobs"`
	FinishReason string       `json:"finish_reason"`
	MatchedStop  *MatchedStop `json:"matched_stop"`
	// ReasoningStop says why the thought ended: natural, budget, loop, client or
	// length; absent where there was none.
	ReasoningStop string `json:"reasoning_stop,omitempty"`
}

// ChatCompletionChunk is one event of a stream. Members are present as in
// ChatCompletion; Usage is set in the last chunk only, whose Choices are empty.
type ChatCompletionChunk struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"` // chat.completion.chunk
	Created int64         `json:"created"`
	Model   string        `json:"model"`
	Choices []ChunkChoice `json:"choices"`
	Usage   *Usage        `json:"usage"`
}

// ChunkChoice is what one event adds to one choice: its role, some reasoning,
// some content, or its end; never two of them.
type ChunkChoice struct {
	Index        int          `json:"index"`
	Delta        Delta        `json:"delta"`
	Logprobs     *Logprobs    `json:"logprobs"`
	FinishReason *string      `json:"finish_reason"`
	MatchedStop  *MatchedStop `json:"matched_stop"`
	// ReasoningStop says why the thought ended: natural, budget, loop, client or
	// length; absent where there was none.
	ReasoningStop string `json:"reasoning_stop,omitempty"`
}

// Completion is the answer of POST /v1/completions, and each event of its
// stream. Every member is always present. Usage is null in events but the last,
// whose Choices are empty.
type Completion struct {
	ID      string       `json:"id"`     // cmpl-…
	Object  string       `json:"object"` // text_completion
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []TextChoice `json:"choices"`
	Usage   *Usage       `json:"usage"`
}

// TextChoice is one whole text, or what an event adds to it: some text or its
// end, never both.
type TextChoice struct {
	Index        int          `json:"index"` // choices of the first prompt come first
	Text         string       `json:"text"`
	Logprobs     *struct{}    `json:"logprobs"`
	FinishReason *string      `json:"finish_reason"`
	MatchedStop  *MatchedStop `json:"matched_stop"`
}

// Delta is a piece of a message; texts are never empty strings.
type Delta struct {
	Role             *string           `json:"role"`
	Content          *string           `json:"content"`
	ReasoningContent *string           `json:"reasoning_content"`
	Reasoning        *string           `json:"reasoning"`
	ToolCalls        []json.RawMessage `json:"tool_calls"`
}

// MatchedStop is what ended a choice: a token's id, written as a number, or a
// stop string.
type MatchedStop struct {
	ID   int32
	Text string // not empty: a string matched
}

// MarshalJSON writes a number or a string.
func (m MatchedStop) MarshalJSON() ([]byte, error) {
	if m.Text != "" {
		return appendString(nil, m.Text), nil
	}
	return strconv.AppendInt(nil, int64(m.ID), 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *MatchedStop) UnmarshalJSON(data []byte) error {
	*m = MatchedStop{}
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &m.Text)
	}
	return json.Unmarshal(data, &m.ID)
}

// Usage counts tokens; CompletionTokens includes the reasoning.
type Usage struct {
	PromptTokens            int               `json:"prompt_tokens"`
	TotalTokens             int               `json:"total_tokens"`
	CompletionTokens        int               `json:"completion_tokens"`
	PromptTokensDetails     PromptDetails     `json:"prompt_tokens_details"`
	CompletionTokensDetails CompletionDetails `json:"completion_tokens_details"`
}

// PromptDetails says how much of the prompt came from the prefix cache.
type PromptDetails struct {
	CachedTokens int `json:"cached_tokens"`
}

// CompletionDetails says how much of the output was reasoning.
type CompletionDetails struct {
	ReasoningTokens int `json:"reasoning_tokens"`
}

// Model describes a served model.
type Model struct {
	ID          string  `json:"id"`
	Object      string  `json:"object"` // model
	Created     int64   `json:"created"`
	OwnedBy     string  `json:"owned_by"`
	Root        string  `json:"root"` // the model that an alias stands for
	Parent      *string `json:"parent"`
	MaxModelLen int     `json:"max_model_len"` // prompt and output tokens
	// Reasoning is null where everything that the model writes is content.
	Reasoning *ModelReasoning `json:"reasoning"`
}

// ModelReasoning says how a model's thought is told apart and what its prompt
// makes of the ways to ask for one. Every one of them may be used with every
// model: it is translated to what the model's template understands.
type ModelReasoning struct {
	Parser  string   `json:"parser"`
	Switch  *string  `json:"switch"`  // what turns thinking on and off; null: nothing
	Efforts []string `json:"efforts"` // the values of reasoning_effort that differ; null: none do
	Default *bool    `json:"default"` // whether a request that says nothing thinks; null: not known
}

// ModelList is the answer of GET /v1/models.
type ModelList struct {
	Object string  `json:"object"` // list
	Data   []Model `json:"data"`
}

// Logprobs are the content's tokens, in order.
type Logprobs struct {
	Content []TokenLogprob `json:"content"`
	Refusal []TokenLogprob `json:"refusal"` // always null
}

// TokenLogprob is one token and its likeliest alternatives.
type TokenLogprob struct {
	TopLogprob
	TopLogprobs []TopLogprob `json:"top_logprobs"`
}

// TopLogprob is a token: its text, in which bytes that are no character are
// U+FFFD, and its bytes.
type TopLogprob struct {
	Token   string  `json:"token"`
	Logprob float32 `json:"logprob"` // natural log; -9999 where the probability is 0
	Bytes   []int   `json:"bytes"`
}
