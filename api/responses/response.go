package responses

import "encoding/json"

// Response is the object that the API is about. Settings repeat the request.
type Response struct {
	ID        string `json:"id"`     // resp_…
	Object    string `json:"object"` // response
	CreatedAt int64  `json:"created_at"`
	Settings

	Status            string             `json:"status"`
	CompletedAt       *int64             `json:"completed_at"`
	Error             *Error             `json:"error"`
	IncompleteDetails *IncompleteDetails `json:"incomplete_details"`
	Output            []Item             `json:"output"`
	Usage             *Usage             `json:"usage"`
	// ReasoningStop says why the thought ended: natural, budget, loop, client,
	// length; "": nothing is known of one.
	ReasoningStop string `json:"reasoning_stop,omitempty"`
}

// Settings are the members of a response that say how it was asked for.
type Settings struct {
	Model              string            `json:"model"`
	Instructions       *string           `json:"instructions"`
	PreviousResponseID *string           `json:"previous_response_id"`
	MaxOutputTokens    *int              `json:"max_output_tokens"`
	MaxToolCalls       *int              `json:"max_tool_calls"` // of built-in tools; there are none
	Temperature        *float64          `json:"temperature"`
	TopP               *float64          `json:"top_p"`
	TopLogprobs        int               `json:"top_logprobs"`
	Tools              []json.RawMessage `json:"tools"`
	ToolChoice         json.RawMessage   `json:"tool_choice"`
	ParallelToolCalls  bool              `json:"parallel_tool_calls"`
	Text               TextSettings      `json:"text"`
	Reasoning          ReasoningSettings `json:"reasoning"`
	Truncation         string            `json:"truncation"` // disabled, auto
	Store              bool              `json:"store"`
	Background         bool              `json:"background"`   // false
	ServiceTier        string            `json:"service_tier"` // default
	Metadata           json.RawMessage   `json:"metadata"`
	User               *string           `json:"user"`
	SafetyIdentifier   *string           `json:"safety_identifier"`
	PromptCacheKey     *string           `json:"prompt_cache_key"`
}

// TextSettings say what the answer's text must be.
type TextSettings struct {
	Format    json.RawMessage `json:"format"`
	Verbosity string          `json:"verbosity"` // medium
}

// ReasoningSettings say how hard to think. Summary is accepted and none is made.
type ReasoningSettings struct {
	Effort  *string `json:"effort"`
	Summary *string `json:"summary"`
}

// Error says why a response failed.
type Error struct {
	Code    string `json:"code"` // server_error, rate_limit_exceeded, invalid_prompt
	Message string `json:"message"`
}

// IncompleteDetails say why a response is incomplete.
type IncompleteDetails struct {
	Reason string `json:"reason"` // max_output_tokens
}

// Usage counts tokens.
type Usage struct {
	InputTokens         int           `json:"input_tokens"`
	InputTokensDetails  InputDetails  `json:"input_tokens_details"`
	OutputTokens        int           `json:"output_tokens"`
	OutputTokensDetails OutputDetails `json:"output_tokens_details"`
	TotalTokens         int           `json:"total_tokens"`
}

// InputDetails are counted in InputTokens.
type InputDetails struct {
	CachedTokens     int `json:"cached_tokens"`
	CacheWriteTokens int `json:"cache_write_tokens"` // 0: writing costs nothing
}

// OutputDetails are counted in OutputTokens.
type OutputDetails struct {
	ReasoningTokens int `json:"reasoning_tokens"`
}

// Bytes is about what the response holds in memory.
func (r *Response) Bytes() int {
	n := 1024 + len(r.Metadata) + len(r.ToolChoice) + len(r.Text.Format)
	for _, s := range []*string{r.Instructions, r.User, r.SafetyIdentifier, r.PromptCacheKey} {
		if s != nil {
			n += len(*s)
		}
	}
	for _, t := range r.Tools {
		n += len(t)
	}
	for i := range r.Output {
		n += r.Output[i].Bytes()
	}
	return n
}

// Deleted is the answer to DELETE /v1/responses/{id}.
type Deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // response
	Deleted bool   `json:"deleted"`
}

// ItemList is the answer to GET /v1/responses/{id}/input_items.
type ItemList struct {
	Object  string  `json:"object"` // list
	Data    []Item  `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}
