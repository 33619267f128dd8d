package native

import (
	"encoding/json"

	"github.com/reasond/reasond/api/openai"
)

// FunctionCallRequest is the body of POST /parse_function_call: a model's text,
// without its thought, in which calls of tools are looked for.
type FunctionCallRequest struct {
	Model  string
	Text   string
	Tools  json.RawMessage // as in a chat, at least one
	Parser string          // tool_call_parser; empty: the model's
}

// DecodeFunctionCall reads the body of a /parse_function_call request. An error
// is an *openai.Error.
func DecodeFunctionCall(body []byte) (*FunctionCallRequest, error) {
	req := &FunctionCallRequest{}
	chat, given := openai.NewChatReader(), false
	err := openai.ReadObject(body, func(name string, v openai.Value) (err error) {
		if v.Null() {
			return nil
		}
		switch name {
		case "text":
			given = true
			req.Text, err = v.String(name)
		case "tools":
			err = chat.Set(name, name, v)
		case "tool_call_parser":
			req.Parser, err = v.String(name)
		case "model":
			req.Model, err = v.String(name)
		default:
			err = openai.Refuse(name, name, v)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !given {
		return nil, openai.Missing("text", "the text to look for calls in is needed")
	}
	wire, err := chat.Finish(false)
	if err != nil {
		return nil, err
	}
	if req.Tools = wire.Tools; req.Tools == nil {
		return nil, openai.Missing("tools", "there is nothing to call")
	}
	return req, nil
}

// FunctionCallResponse is the text without its calls, and these.
type FunctionCallResponse struct {
	NormalText string         `json:"normal_text"`
	Calls      []FunctionCall `json:"calls"`
}

// FunctionCall is one of them.
type FunctionCall struct {
	ToolIndex  int    `json:"tool_index"` // in the request's tools; -1: it is none of them
	Name       string `json:"name"`
	Parameters string `json:"parameters"` // JSON
}
