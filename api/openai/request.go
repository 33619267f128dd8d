package openai

import "encoding/json"

// ChatRequest is the body of POST /v1/chat/completions. A nil pointer is a
// member that was not given (or null): the model's default applies.
type ChatRequest struct {
	Model    string          `json:"model,omitempty"`
	Messages json.RawMessage `json:"messages"`        // array of Message objects in normal form, see message.go
	Tools    json.RawMessage `json:"tools,omitempty"` // array as the client wrote it; nil: none, or tool_choice "none"

	Stream        bool           `json:"stream,omitempty"`
	StreamOptions *StreamOptions `json:"stream_options,omitempty"`

	N         int  `json:"n,omitempty"`          // 1 if not given
	MaxTokens *int `json:"max_tokens,omitempty"` // also max_completion_tokens, which wins
	MinTokens *int `json:"min_tokens,omitempty"`

	Temperature       *float64          `json:"temperature,omitempty"`
	TopP              *float64          `json:"top_p,omitempty"`
	TopK              *int              `json:"top_k,omitempty"` // 0 or -1: off
	MinP              *float64          `json:"min_p,omitempty"`
	PresencePenalty   *float64          `json:"presence_penalty,omitempty"`
	FrequencyPenalty  *float64          `json:"frequency_penalty,omitempty"`
	RepetitionPenalty *float64          `json:"repetition_penalty,omitempty"`
	LogitBias         map[int32]float32 `json:"logit_bias,omitempty"`
	Seed              *int64            `json:"seed,omitempty"`

	Stop        []string `json:"stop,omitempty"`
	StopIDs     []int32  `json:"stop_token_ids,omitempty"`
	Logprobs    bool     // of content tokens
	TopLogprobs *int
	// ReasoningLogprobs asks for those of the reasoning's tokens beside them.
	ReasoningLogprobs bool
	PromptLogprobs    *int  // of the prompt's tokens, with so many alternatives; nil: none
	TokenIDs          bool  // return_token_ids: of prompt and answer
	IgnoreEOS         *bool `json:"ignore_eos,omitempty"`
	IncludeStop       bool  `json:"include_stop_str_in_output,omitempty"`
	KeepSpecial       bool  `json:"-"` // skip_special_tokens false

	// Thinking and ReasoningEffort are what the request says under any of the
	// names in reasoning.go; an effort says Thinking too.
	Thinking          *bool                      `json:"enable_thinking,omitempty"`
	AdaptiveThinking  bool                       `json:"-"` // thinking.type adaptive: as the model likes
	ReasoningEffort   string                     `json:"reasoning_effort,omitempty"`
	SeparateReasoning bool                       `json:"separate_reasoning"` // true if not given
	RawContent        bool                       `json:"-"`                  // beside separate reasoning, content has all that the model wrote
	StreamReasoning   bool                       `json:"stream_reasoning"`   // true if not given
	DropReasoning     bool                       `json:"-"`                  // include_reasoning false
	Given             GivenReasoning             `json:"-"`
	TemplateKwargs    map[string]json.RawMessage `json:"chat_template_kwargs,omitempty"`

	// ToolChoice demands a call; nil: the model may call or not.
	ToolChoice *ToolChoice `json:"-"`
	OneCall    bool        `json:"-"` // parallel_tool_calls false

	Grammar        *Grammar `json:"-"` // what the answer must be; nil: free
	ThoughtGrammar *Grammar `json:"-"`
	Control        Control  `json:"-"`

	AddGenerationPrompt  bool `json:"add_generation_prompt"` // true if not given
	ContinueFinalMessage bool `json:"continue_final_message,omitempty"`

	CacheSalt string `json:"cache_salt,omitempty"`
	Priority  int    `json:"priority,omitempty"` // lower runs first
	RequestID string `json:"request_id,omitempty"`
}

// StreamOptions are a stream's extras.
type StreamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// Bounds of what a request may ask for.
const (
	MaxChoices     = 16
	MaxStops       = 16
	MaxStopBytes   = 1024 // of one stop string
	MaxStopIDs     = 128
	MaxLogitBias   = 1024
	MaxKwargs      = 64
	MaxMessages    = 16384
	MaxParts       = 16384 // content parts of one message
	MaxTools       = 1024
	MaxSaltBytes   = 128
	MaxTopLogprobs = 20
	maxCount       = 1<<31 - 1
	maxNameInError = 64 // bytes of the client's field name that an error repeats
)

// DecodeChat reads the body of a chat request. An error is an *Error.
func DecodeChat(body []byte) (*ChatRequest, error) {
	root, err := parse(body)
	if err != nil {
		return nil, err
	}
	if root.kind() != "object" {
		return nil, &Error{Code: CodeInvalidJSON, Message: "the body must be a JSON object, got " + root.kind()}
	}
	d := newChatDecoder()
	if err := root.members(d.member); err != nil {
		return nil, err
	}
	if err := d.finish(true); err != nil {
		return nil, err
	}
	return &d.req, nil
}

// chatDecoder is a request on its way, with what only decoding needs to know.
type chatDecoder struct {
	req           ChatRequest
	maxCompletion *int
	noTools       bool   // tool_choice none
	addPrompt     bool   // add_generation_prompt was given as true
	lastRole      string // role of the last message
	said          switches
}

func (d *chatDecoder) member(name string, v value) error {
	if decode, ok := chatFields[name]; ok {
		if v.null() {
			return nil
		}
		return decode(d, name, v)
	}
	if harmless, ok := notBuilt[name]; ok {
		if v.null() || harmless(v) {
			return nil
		}
		return unsupported(name, "not supported by this server")
	}
	return Unknown(name)
}

func newChatDecoder() chatDecoder {
	return chatDecoder{req: ChatRequest{N: 1, SeparateReasoning: true, StreamReasoning: true, AddGenerationPrompt: true}}
}

// finish checks what concerns more than one member; chat says that there must be
// messages.
func (d *chatDecoder) finish(chat bool) error {
	r := &d.req
	if chat && r.Messages == nil {
		return &Error{Param: "messages", Code: CodeMissing, Message: "messages: a chat needs at least one message"}
	}
	if d.maxCompletion != nil {
		r.MaxTokens = d.maxCompletion
	}
	if r.MinTokens != nil && r.MaxTokens != nil && *r.MinTokens > *r.MaxTokens {
		return invalid("min_tokens", "is greater than max_tokens")
	}
	if r.TopLogprobs != nil && *r.TopLogprobs > 0 && !r.Logprobs {
		return invalid("top_logprobs", "needs logprobs to be true")
	}
	if r.ReasoningLogprobs && !r.Logprobs {
		return invalid("reasoning_logprobs", "needs logprobs to be true")
	}
	if r.PromptLogprobs != nil && r.Stream {
		return unsupported("prompt_logprobs", "an answer that is streamed has none")
	}
	if r.StreamOptions != nil && !r.Stream {
		return invalid("stream_options", "only allowed when stream is true")
	}
	if r.ContinueFinalMessage {
		if d.addPrompt {
			return invalid("continue_final_message", "cannot be combined with add_generation_prompt")
		}
		if d.lastRole != "assistant" {
			return invalid("continue_final_message", "the last message must be the assistant's")
		}
		r.AddGenerationPrompt = false
	}
	if d.noTools {
		r.Tools = nil
	}
	if r.ToolChoice != nil && r.Tools == nil {
		return invalid("tool_choice", "there are no tools to call")
	}
	if r.Control.Reserve > 0 && r.MaxTokens != nil && r.Control.Reserve >= *r.MaxTokens {
		return invalid("reserve_answer_tokens", "must be less than max_tokens")
	}
	return d.reasoning()
}
