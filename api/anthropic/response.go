package anthropic

import "encoding/json"

// Message is the answer of POST /v1/messages. Thinking has no signature: ours is
// not one, and an empty one would be refused when it is sent back.
type Message struct {
	ID           string  `json:"id"`   // msg_…
	Type         string  `json:"type"` // message
	Role         string  `json:"role"` // assistant
	Model        string  `json:"model"`
	Content      []Block `json:"content"`
	StopReason   *string `json:"stop_reason"` // end_turn, max_tokens, stop_sequence, tool_use
	StopSequence *string `json:"stop_sequence"`
	Usage        Usage   `json:"usage"`
}

// Block is a content block: of its members those of its type are set.
type Block struct {
	Type     string          `json:"type"` // thinking, text, tool_use
	Thinking *string         `json:"thinking,omitempty"`
	Text     *string         `json:"text,omitempty"`
	ID       string          `json:"id,omitempty"`
	Name     string          `json:"name,omitempty"`
	Input    json.RawMessage `json:"input,omitempty"`
}

// Usage counts tokens; what came from the prefix cache is not among the input's.
type Usage struct {
	InputTokens              int `json:"input_tokens"`
	CacheCreationInputTokens int `json:"cache_creation_input_tokens"`
	CacheReadInputTokens     int `json:"cache_read_input_tokens"`
	OutputTokens             int `json:"output_tokens"`
}

// The events of a stream, by their type.
type (
	MessageStart struct {
		Type    string  `json:"type"` // message_start
		Message Message `json:"message"`
	}
	BlockStart struct {
		Type  string `json:"type"` // content_block_start
		Index int    `json:"index"`
		Block Block  `json:"content_block"`
	}
	BlockDelta struct {
		Type  string `json:"type"` // content_block_delta
		Index int    `json:"index"`
		Delta Delta  `json:"delta"`
	}
	BlockStop struct {
		Type  string `json:"type"` // content_block_stop
		Index int    `json:"index"`
	}
	MessageDelta struct {
		Type  string `json:"type"` // message_delta
		Delta Ended  `json:"delta"`
		Usage Usage  `json:"usage"`
	}
	MessageStop struct {
		Type string `json:"type"` // message_stop
	}
)

// Delta is a piece of a block.
type Delta struct {
	Type        string  `json:"type"` // thinking_delta, text_delta, input_json_delta
	Thinking    *string `json:"thinking,omitempty"`
	Text        *string `json:"text,omitempty"`
	PartialJSON *string `json:"partial_json,omitempty"`
}

// Ended is how a message ended.
type Ended struct {
	StopReason   string  `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
}

// Count is the answer of POST /v1/messages/count_tokens.
type Count struct {
	InputTokens int `json:"input_tokens"`
}

// ErrorResponse is the body of every error.
type ErrorResponse struct {
	Type      string      `json:"type"` // error
	Error     ErrorDetail `json:"error"`
	RequestID *string     `json:"request_id,omitempty"`
}

// ErrorDetail says what is wrong. Param is beyond Anthropic's API.
type ErrorDetail struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"`
}
