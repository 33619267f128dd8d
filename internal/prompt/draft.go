package prompt

import (
	"github.com/reasond/reasond/internal/llm"
)

// A draft is one chat on its way to its prompt.
type draft struct {
	in      Input
	chat    chat
	engine  *engine
	tokens  []member
	control *literals
	marks   *marks // client text that spells control tokens, hidden while rendering
}

func (d *draft) render() (Output, error) {
	var tail *continuation
	if d.in.ContinueFinalMessage {
		var err error
		if tail, err = tagFinalMessage(d.chat); err != nil {
			return Output{}, err
		}
	}
	d.marks = hide(d.control, d.chat)

	text, err := d.pass()
	if err != nil {
		return Output{}, err
	}
	if tail != nil {
		if text, err = tail.cut(text); err != nil {
			return Output{}, err
		}
	}
	out := Output{}
	out.Text, out.Spans = d.marks.restore(text)
	out.ReasoningOpen, err = d.reasoningOpen(out)
	return out, err
}

// pass renders once.
func (d *draft) pass() (string, error) {
	variables := object(
		member{"messages", d.chat.messages},
		member{"tools", orNull(d.chat.tools)},
		member{"add_generation_prompt", boolean(d.in.AddGenerationPrompt)},
	)
	variables.members = append(variables.members, d.tokens...)
	variables.members = append(variables.members, d.chat.kwargs...)
	text, err := d.engine.template.Render(variables.append(nil), d.in.Now)
	if err != nil {
		return "", templateError(err)
	}
	return text, nil
}

func tokenVariables(tokens map[string]string) []member {
	var variables []member
	for _, name := range sortedKeys(tokens) {
		variables = append(variables, member{name, text(tokens[name])})
	}
	return variables
}

func invalid(param, format string, args ...any) error {
	return llm.Errorf(llm.Invalid, param, format, args...)
}
