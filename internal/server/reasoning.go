package server

import (
	"fmt"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/pipeline"
)

// Reasoning is how chats are answered that do not say it themselves.
type Reasoning struct {
	Field  Field
	InLine bool // separate_reasoning is false
	Legacy bool // reasoning_format is deepseek-legacy
	Hold   bool // stream_reasoning is false
	Drop   bool // include_reasoning is false
}

// Field is where an answer has its reasoning.
type Field string

const (
	BothFields       Field = "" // under both names
	ReasoningContent Field = "reasoning_content"
	ReasoningField   Field = "reasoning"
)

func (f Field) validate() error {
	switch f {
	case BothFields, ReasoningContent, ReasoningField:
		return nil
	}
	return fmt.Errorf("server: reasoning cannot go into %q", string(f))
}

// texts are the values of the members reasoning_content and reasoning.
func (f Field) texts(text *string) (content, plain *string) {
	switch f {
	case ReasoningContent:
		return text, nil
	case ReasoningField:
		return nil, text
	}
	return text, text
}

// apply fills in what a request leaves open. A default that would contradict
// what the request gives does not count.
func (d *Reasoning) apply(r *openai.ChatRequest) {
	if !r.Given.Stream {
		r.StreamReasoning = !d.Hold
	}
	if !r.Given.Include {
		r.DropReasoning = d.Drop && !r.Given.Separate
	}
	if !r.Given.Separate && !r.DropReasoning {
		r.SeparateReasoning, r.RawContent = !d.InLine, d.Legacy
	}
}

// describeReasoning says what a model makes of the switches for thinking; nil:
// everything that it writes is content.
func describeReasoning(m *pipeline.Model) *openai.ModelReasoning {
	if m.Parser == nil {
		return nil
	}
	on := true
	d := &openai.ModelReasoning{Parser: m.Parser.Name, Default: &on}
	s := m.Thinking()
	if s == nil {
		d.Default = nil // another server renders the prompts
		return d
	}
	if name := s.Switch(); name != "" {
		d.Switch = &name
	}
	d.Efforts = s.Efforts
	if s.Default != nil {
		d.Default = s.Default
	}
	// The model's own options may turn over what the template does by itself.
	if think, given := m.DefaultWish(); given {
		d.Default = &think
	}
	return d
}
