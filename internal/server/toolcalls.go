package server

import (
	"encoding/json"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

// addCall joins a piece to the calls of a whole answer. Calls that an upstream
// has parsed come as elements of OpenAI's delta.tool_calls: begun with id and
// name, then fragments of arguments under the same index. A stream passes them
// on as they are.
func addCall(calls []openai.ToolCall, piece string) ([]openai.ToolCall, error) {
	var p struct {
		Index int `json:"index"`
		openai.ToolCall
	}
	if err := json.Unmarshal([]byte(piece), &p); err != nil || p.Index < 0 || p.Index >= openai.MaxTools {
		return calls, &llm.Error{Kind: llm.Internal, Message: "the upstream sent a tool call that cannot be read", Err: err}
	}
	for len(calls) <= p.Index {
		calls = append(calls, openai.ToolCall{Type: "function"})
	}
	call := &calls[p.Index]
	if p.ID != "" {
		call.ID = p.ID
	}
	if p.Type != "" {
		call.Type = p.Type
	}
	call.Function.Name += p.Function.Name
	call.Function.Arguments += p.Function.Arguments
	return calls, nil
}
