package openai

import (
	"slices"
	"strings"
)

// Requests say in many ways whether and how hard to think and where the thought
// goes. Here all of them become the same few members of ChatRequest; what a
// model's template understands of them is decided elsewhere.
//
//	enable_thinking, thinking, think   true, false
//	thinking                           {type: enabled | disabled | adaptive}
//	reasoning_effort                   none … max
//	reasoning                          {effort, enabled, exclude}; more in control.go
//	separate_reasoning, stream_reasoning, include_reasoning   true, false
//	reasoning_format                   auto, deepseek, deepseek-legacy, none

// Efforts are the values of reasoning_effort, from no thought to the longest.
var Efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

// GivenReasoning says which of the members below a request gave; a server's
// defaults take the others' place.
type GivenReasoning struct{ Separate, Stream, Include bool }

// said is one member that says something, for the check that none says another.
type said struct {
	name string
	on   bool
}

// switches are the members of a request that say whether to think, and how hard.
type switches struct {
	think    []said
	effort   []struct{ name, value string }
	separate []said // separate_reasoning and reasoning_format
	include  []said // include_reasoning and reasoning.exclude
}

// thinks reads a switch.
func thinks(d *chatDecoder, name string, v value) error {
	var on bool
	err := boolean(func(*chatDecoder) *bool { return &on })(d, name, v)
	if err == nil {
		d.said.think = append(d.said.think, said{name, on})
	}
	return err
}

// thinking is a switch, or Anthropic's object.
func thinking(d *chatDecoder, name string, v value) error {
	switch v.kind() {
	case "boolean":
		return thinks(d, name, v)
	case "object":
	default:
		return invalid(name, "must be a boolean or an object, got %s", v.kind())
	}
	typed := false
	err := options(v, name, func(key, path string, v value) error {
		switch {
		case key == "type":
			typed = true
			return thinkingType(d, path, v)
		case key == "budget_tokens":
			return budget(d, path, v)
		case key == "display" || key == "clear_thinking":
			return unsupported(path, "not supported by this server")
		}
		return Unknown(path)
	})
	if err == nil && !typed {
		return &Error{Param: name + ".type", Code: CodeMissing, Message: name + ".type: must be given"}
	}
	return err
}

func thinkingType(d *chatDecoder, path string, v value) error {
	if err := expect(v, path, "string"); err != nil {
		return err
	}
	switch v.text() {
	case "enabled", "disabled":
		d.said.think = append(d.said.think, said{path, v.text() == "enabled"})
	case "adaptive":
		d.req.AdaptiveThinking = true
	default:
		return invalid(path, "must be one of enabled, disabled, adaptive")
	}
	return nil
}

func effort(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "string"); err != nil {
		return err
	}
	if !slices.Contains(Efforts, v.text()) {
		return invalid(name, "must be one of %s", strings.Join(Efforts, ", "))
	}
	d.said.effort = append(d.said.effort, struct{ name, value string }{name, v.text()})
	return nil
}

// reasoningObject is OpenRouter's and the Responses API's member.
func reasoningObject(d *chatDecoder, name string, v value) error {
	return options(v, name, func(key, path string, v value) error {
		switch key {
		case "effort":
			return effort(d, path, v)
		case "enabled":
			return thinks(d, path, v)
		case "exclude":
			var exclude bool
			err := boolean(func(*chatDecoder) *bool { return &exclude })(d, path, v)
			if err == nil {
				d.said.include = append(d.said.include, said{path, !exclude})
			}
			return err
		case "max_tokens":
			return budget(d, path, v)
		case "summary", "generate_summary":
			return unsupported(path, "not supported by this server")
		}
		if phase, ok := phaseFields[key]; ok {
			return phase(d, path, v)
		}
		return Unknown(path)
	})
}

func separate(d *chatDecoder, name string, v value) error {
	var on bool
	err := boolean(func(*chatDecoder) *bool { return &on })(d, name, v)
	if err == nil {
		d.said.separate = append(d.said.separate, said{name, on})
	}
	return err
}

func streamReasoning(d *chatDecoder, name string, v value) error {
	d.req.Given.Stream = true
	return boolean(func(d *chatDecoder) *bool { return &d.req.StreamReasoning })(d, name, v)
}

func include(d *chatDecoder, name string, v value) error {
	var on bool
	err := boolean(func(*chatDecoder) *bool { return &on })(d, name, v)
	if err == nil {
		d.said.include = append(d.said.include, said{name, on})
	}
	return err
}

// ReasoningFormats are the values of reasoning_format.
var ReasoningFormats = []string{"auto", "deepseek", "deepseek-legacy", "none"}

// reasoningFormat has llama.cpp's names: none leaves the answer as the model
// wrote it, deepseek separates it, deepseek-legacy does both.
func reasoningFormat(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "string"); err != nil {
		return err
	}
	format := v.text()
	if !slices.Contains(ReasoningFormats, format) {
		return invalid(name, "must be one of %s", strings.Join(ReasoningFormats, ", "))
	}
	if format != "auto" {
		d.said.separate = append(d.said.separate, said{name, format != "none"})
	}
	d.req.RawContent = format == "deepseek-legacy"
	return nil
}

// reasoning brings together what the request says under several names. Two
// members that contradict each other are an error naming both.
func (d *chatDecoder) reasoning() error {
	r := &d.req
	for i, e := range d.said.effort {
		if i > 0 && e.value != r.ReasoningEffort {
			return contradiction(e.name, d.said.effort[0].name)
		}
		r.ReasoningEffort = e.value
		d.said.think = append(d.said.think, said{e.name, e.value != "none"})
	}
	think, err := agreed(d.said.think)
	if err != nil {
		return err
	}
	if r.Thinking = think; think != nil && !*think && r.AdaptiveThinking {
		return contradiction("thinking.type", d.said.think[0].name)
	}
	separate, err := agreed(d.said.separate)
	if err != nil {
		return err
	}
	if separate != nil {
		r.SeparateReasoning, r.Given.Separate = *separate, true
	}
	include, err := agreed(d.said.include)
	if err != nil {
		return err
	}
	if include != nil {
		r.DropReasoning, r.Given.Include = !*include, true
	}
	// What is left out of the answer cannot be asked for in its content too.
	if r.DropReasoning && (r.RawContent || r.Given.Separate && !r.SeparateReasoning) {
		return contradiction(d.said.include[0].name, d.said.separate[0].name)
	}
	return nil
}

// agreed is what all say; nil: nobody says anything.
func agreed(all []said) (*bool, error) {
	if len(all) == 0 {
		return nil, nil
	}
	for _, s := range all {
		if s.on != all[0].on {
			return nil, contradiction(s.name, all[0].name)
		}
	}
	return &all[0].on, nil
}

func contradiction(name, other string) error {
	return invalid(name, "contradicts %s", other)
}
