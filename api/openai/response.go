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
	// Of the prompt, if they were asked for.
	PromptLogprobs []PromptLogprob `json:"prompt_logprobs,omitempty"`
	PromptTokenIDs []int32         `json:"prompt_token_ids,omitempty"`
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
	// ReasoningLogprobs and TokenIDs are absent where nobody asked for them.
	ReasoningLogprobs *ReasoningLogprobs `json:"reasoning_logprobs,omitempty"`
	TokenIDs          []int32            `json:"token_ids,omitempty"`
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
	// PromptTokenIDs are in the first chunk behind the roles, if they were asked for.
	PromptTokenIDs []int32 `json:"prompt_token_ids,omitempty"`
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
	// ReasoningLogprobs and TokenIDs are absent where nobody asked for them.
	ReasoningLogprobs *ReasoningLogprobs `json:"reasoning_logprobs,omitempty"`
	TokenIDs          []int32            `json:"token_ids,omitempty"`
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
	Index          int             `json:"index"` // choices of the first prompt come first
	Text           string          `json:"text"`
	Logprobs       *TextLogprobs   `json:"logprobs"`
	FinishReason   *string         `json:"finish_reason"`
	MatchedStop    *MatchedStop    `json:"matched_stop"`
	TokenIDs       []int32         `json:"token_ids,omitempty"` // if they were asked for, as the next two
	PromptTokenIDs []int32         `json:"prompt_token_ids,omitempty"`
	PromptLogprobs []PromptLogprob `json:"prompt_logprobs,omitempty"`
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

// ReasoningLogprobs are the reasoning's tokens, in order.
type ReasoningLogprobs struct {
	Content []TokenLogprob `json:"content"`
}

// TextLogprobs are a completion's tokens, in order. A token that is no text by
// itself, bytes of a character, is written bytes:\xe6\x97. The first token of a
// prompt that is repeated has null for its log-probability and alternatives.
type TextLogprobs struct {
	TextOffset    []int                `json:"text_offset"` // in the text, in characters
	TokenLogprobs []*float32           `json:"token_logprobs"`
	Tokens        []string             `json:"tokens"`
	TopLogprobs   []map[string]float32 `json:"top_logprobs"` // the token itself among them
}

// PromptLogprob is a prompt's token and its likeliest alternatives, by their ids,
// as vLLM has it; nil, which is null, for the first.
type PromptLogprob map[string]PromptToken

// PromptToken is one of them.
type PromptToken struct {
	Logprob      float32 `json:"logprob"`
	Rank         int     `json:"rank"` // 1 for the likeliest
	DecodedToken string  `json:"decoded_token"`
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
