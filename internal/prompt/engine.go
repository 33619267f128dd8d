package prompt

import (
	"errors"
	"maps"
	"slices"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/native"
)

// An engine is a compiled template and what it was found to accept.
type engine struct {
	template *native.Template
	formats  formats
}

func newEngine(source string, limits native.Limits, tokens []member) (*engine, error) {
	template, err := native.CompileTemplate(source, limits)
	if err != nil {
		return nil, err
	}
	return &engine{template: template, formats: probe(template, tokens)}, nil
}

func (e *engine) close() {
	if e != nil {
		_ = e.template.Close() // never fails
	}
}

// templateError is a failed render as the client sees it: what the template
// itself says against the messages, or that it cannot render them.
func templateError(err error) error {
	var (
		raised *native.RaisedError
		limit  *native.LimitError
		panics *native.PanicError
	)
	switch {
	case errors.As(err, &raised):
		return llm.Errorf(llm.Invalid, "messages", "The chat template refuses the messages: %s", raised.Message)
	case errors.As(err, &limit):
		return llm.Errorf(llm.Invalid, "messages", "The chat template cannot render the messages: %s", limit.Message)
	case errors.As(err, &panics), errors.Is(err, native.ErrClosed):
		return err
	}
	e := llm.Errorf(llm.Invalid, "messages", "The chat template cannot render the messages")
	e.Err = err
	return e
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
