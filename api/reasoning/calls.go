package reasoning

import "encoding/json"

// Function is a tool that a model may call.
type Function struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"` // a JSON schema; nil: none
	Strict     bool            `json:"strict"`     // arguments must follow it
}

// Writing says how an answer with calls is to be written, for grammars.
type Writing struct {
	// Marker is the id of a text that is a control token of the vocabulary; nil:
	// none is.
	Marker func(text string) (id int32, control bool)
	// Ends reports whether a text is a token that ends an answer; nil: none is.
	Ends func(text string) bool
	One  bool // exactly one call
	// Free lets text stand where calls may stand: what begins as a call does is one
	// of the functions' calls.
	Free bool
}

// Control is the id of a text that is a control token.
func (w Writing) Control(text string) (id int32, control bool) {
	if w.Marker == nil {
		return 0, false
	}
	return w.Marker(text)
}
