package ollama

import "encoding/json"

// Chunk is an answer of /api/chat or /api/generate, whole or a piece of it.
type Chunk struct {
	Model     string   `json:"model"`
	CreatedAt string   `json:"created_at"` // RFC 3339
	Message   *Message `json:"message,omitempty"`
	Response  *string  `json:"response,omitempty"` // /api/generate
	Thinking  string   `json:"thinking,omitempty"` // /api/generate
	Done      bool     `json:"done"`
	*Ended
}

// Ended is what the last chunk says. Durations are in nanoseconds.
type Ended struct {
	DoneReason         string `json:"done_reason"` // stop, length; load: nothing was asked
	TotalDuration      int64  `json:"total_duration"`
	LoadDuration       int64  `json:"load_duration"`
	PromptEvalCount    int    `json:"prompt_eval_count"`
	PromptEvalDuration int64  `json:"prompt_eval_duration"`
	EvalCount          int    `json:"eval_count"`
	EvalDuration       int64  `json:"eval_duration"`
}

// Message is a piece of an assistant's message.
type Message struct {
	Role      string `json:"role"`
	Content   string `json:"content"`
	Thinking  string `json:"thinking,omitempty"`
	ToolCalls []Call `json:"tool_calls,omitempty"`
}

// Call is a whole tool call.
type Call struct {
	ID       string `json:"id,omitempty"`
	Function struct {
		Index     int             `json:"index"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// Tags is the answer of GET /api/tags.
type Tags struct {
	Models []Model `json:"models"`
}

// Running is the answer of GET /api/ps.
type Running struct {
	Models []RunningModel `json:"models"`
}

// RunningModel is a model that is loaded.
type RunningModel struct {
	Model
	ExpiresAt     string `json:"expires_at"`
	SizeVRAM      int64  `json:"size_vram"`
	ContextLength int    `json:"context_length"`
}

// Model is a model that is served.
type Model struct {
	Name       string  `json:"name"`
	Model      string  `json:"model"`
	ModifiedAt string  `json:"modified_at"`
	Size       int64   `json:"size"`
	Digest     string  `json:"digest"` // 64 hex digits
	Details    Details `json:"details"`
}

// Details describes a model's files.
type Details struct {
	ParentModel       string   `json:"parent_model"`
	Format            string   `json:"format"`
	Family            string   `json:"family"`
	Families          []string `json:"families"`
	ParameterSize     string   `json:"parameter_size"`
	QuantizationLevel string   `json:"quantization_level"`
}

// Show is the answer of POST /api/show.
type Show struct {
	Modelfile    string         `json:"modelfile"`
	Parameters   string         `json:"parameters"`
	Template     string         `json:"template"`
	Details      Details        `json:"details"`
	ModelInfo    map[string]any `json:"model_info"`
	Capabilities []string       `json:"capabilities"`
	ModifiedAt   string         `json:"modified_at"`
}

// ErrorResponse is the body of every error.
type ErrorResponse struct {
	Error string `json:"error"`
}
