package reasoning

import (
	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark"
)

// Inkling writes typed blocks (chat template of Inkling, "TML"):
//
//	<|message_model|><|content_thinking|>…<|end_message|>
//	<|message_model|><|content_text|>…<|end_message|>
//	<|message_model|>f<|content_invoke_tool_json|>{"name": "f", "args": {…}}<|end_message|>
//
// A block may carry its author's or its tool's name between the two markers.
// The prompt ends with the first "<|message_model|>"; the last block ends with
// "<|content_model_end_sampling|>".
func init() {
	marks := []mark{
		{text: "<|message_model|>", frame: outside},
		{text: "<|content_thinking|>", frame: thought},
		{text: "<|content_text|>", frame: content},
		{text: "<|content_invoke_tool_json|>", frame: frame{kind: inCalls, tool: true, call: &callFormat{"name", "args"}}},
		{text: "<|end_message|>", frame: outside},
		{text: "<|content_model_end_sampling|>", frame: outside},
	}
	registerFraming(&framing{
		name: "inkling", aliases: []string{"tml"},
		doc:   "<|content_thinking|>…<|end_message|>, <|content_text|>…<|end_message|> (Inkling)",
		opens: []string{"<|content_thinking|>"}, closes: []string{"<|end_message|>"},
		ends:    "<|end_message|><|message_model|><|content_text|>",
		between: marks, header: marks, body: marks, echo: true,
		turn: &turn{
			next:    []string{"<|message_model|>"},
			thought: span{[]string{"<|content_thinking|>"}, []string{"<|end_message|>"}},
			says:    []span{{[]string{"<|content_text|>"}, []string{"<|end_message|>"}}},
			opens:   "<|content_invoke_tool_json|>",
			between: []string{"<|message_model|>"},
			call:    inklingCall,
		},
	})
}

func inklingCall(g *lark.Grammar, f reasoning.Function, _ int) (string, error) {
	name, err := inJSON(f.Name)
	if err != nil {
		return "", err
	}
	args, err := lark.Object(f, lark.Loose)
	author := f.Name
	if !lark.IsWord(author) {
		author = ""
	}
	return join(g.Marks(author, "<|content_invoke_tool_json|>", `{"name":`+name+`,"args":`), args, g.Marks("}", "<|end_message|>")), err
}
