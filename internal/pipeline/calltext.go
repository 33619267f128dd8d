package pipeline

import (
	"encoding/json"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/toolcall"
)

// ParsedCall is a call found in a text.
type ParsedCall struct {
	Name, Arguments string
	Tool            int // in the tools offered; -1: none of them
}

// ParseCalls finds the calls of tools in a whole text as the format called parser
// writes them, or the model's own where that is empty.
func (m *Model) ParseCalls(parser string, tools json.RawMessage, text string) (content string, calls []ParsedCall, err error) {
	d := m.Tools
	if parser != "" {
		if d, err = toolcall.Lookup(parser); err != nil {
			return "", nil, llm.Errorf(llm.Invalid, "tool_call_parser", "tool_call_parser: %s", err)
		}
	}
	if d == nil {
		return "", nil, llm.Errorf(llm.Invalid, "tool_call_parser", "tool_call_parser: the model has no format of its own, so one must be named")
	}
	places := map[string]int{}
	for i, f := range toolcall.Functions(tools) {
		places[f.Name] = i
	}
	content, found := toolcall.Parse(d, toolcall.ReadTools(tools), text)
	for _, c := range found {
		place, offered := places[c.Name]
		if !offered {
			place = -1
		}
		calls = append(calls, ParsedCall{Name: c.Name, Arguments: c.Arguments, Tool: place})
	}
	return content, calls, nil
}
