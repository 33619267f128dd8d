package reasoning

import (
	"fmt"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark"
)

// Cohere's Command models (chat templates of command-a-reasoning and
// command-a-plus; cohere-ai/melody):
//
//	<|START_THINKING|>…<|END_THINKING|>
//	<|START_RESPONSE|>…<|END_RESPONSE|>, in Command 4 <|START_TEXT|>…<|END_TEXT|>
//	<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {…}}]<|END_ACTION|>
//
// Citations in the text are left as they are.
func init() {
	registerFraming(cohere("cohere-command3", "RESPONSE", nil,
		"<|START_THINKING|>…<|END_THINKING|><|START_RESPONSE|>…<|END_RESPONSE|> (Cohere Command A)", "cohere-cmd3"))
	registerFraming(cohere("cohere-command4", "TEXT", unlessOff,
		"<|START_THINKING|>…<|END_THINKING|><|START_TEXT|>…<|END_TEXT|>, open from the start unless switched off (Cohere Command A+)", "cohere-cmd4"))
}

func cohere(name, text string, thinks func(reasoning.Start) bool, doc string, aliases ...string) *framing {
	marks := []mark{
		{text: "<|START_THINKING|>", frame: thought}, {text: "<|END_THINKING|>", frame: outside},
		{text: "<|START_" + text + "|>", frame: content}, {text: "<|END_" + text + "|>", frame: outside},
		{text: "<|START_ACTION|>", frame: frame{kind: inCalls, tool: true, call: &callFormat{"tool_name", "parameters"}}},
		{text: "<|END_ACTION|>", frame: outside},
		{text: "<|START_OF_TURN_TOKEN|>", frame: outside}, {text: "<|CHATBOT_TOKEN|>", frame: outside},
		{text: "<|END_OF_TURN_TOKEN|>", frame: outside},
	}
	return &framing{
		name: name, aliases: aliases, doc: doc,
		opens: []string{"<|START_THINKING|>"}, closes: []string{"<|END_THINKING|>"},
		ends:    "<|END_THINKING|><|START_" + text + "|>",
		between: marks, body: marks, thinks: thinks, turn: cohereTurn(text),
	}
}

func cohereTurn(text string) *turn {
	return &turn{
		thought: span{[]string{"<|START_THINKING|>"}, []string{"<|END_THINKING|>"}},
		says:    []span{{[]string{"<|START_" + text + "|>"}, []string{"<|END_" + text + "|>"}}},
		opens:   "<|START_ACTION|>",
		begin:   []string{"<|START_ACTION|>", "[\n    "}, between: []string{",\n    "}, end: []string{"\n]", "<|END_ACTION|>"},
		counted: true,
		call: func(g *lark.Grammar, f reasoning.Function, n int) (string, error) {
			name, err := inJSON(f.Name)
			if err != nil {
				return "", err
			}
			args, err := lark.Object(f, lark.Spaced)
			return join(lark.Quote(fmt.Sprintf(`{"tool_call_id": "%d", "tool_name": %s, "parameters": `, n, name)), args, lark.Quote("}")), err
		},
	}
}
