package native

import "github.com/reasond/reasond/api/openai"

// SeparateRequest is the body of POST /separate_reasoning: a model's raw text
// to be split.
type SeparateRequest struct {
	Model       string
	Text        string
	Parser      string // reasoning_parser; empty: the model's
	InReasoning *bool  // whether the text begins inside a thought; nil: the parser's own rule
}

// DecodeSeparate reads the body of a /separate_reasoning request. An error is
// an *openai.Error.
func DecodeSeparate(body []byte) (*SeparateRequest, error) {
	s := &SeparateRequest{}
	given := false
	err := openai.ReadObject(body, func(name string, v openai.Value) (err error) {
		if v.Null() {
			return nil
		}
		switch name {
		case "text":
			given = true
			s.Text, err = v.String(name)
		case "reasoning_parser":
			s.Parser, err = v.String(name)
		case "model":
			s.Model, err = v.String(name)
		case "in_reasoning":
			s.InReasoning = new(bool)
			*s.InReasoning, err = v.Bool(name)
		default:
			err = openai.Refuse(name, name, v)
		}
		return err
	})
	if err == nil && !given {
		err = openai.Missing("text", "the text to split is needed")
	}
	return s, err
}

// SeparateResponse is the text, split.
type SeparateResponse struct {
	ReasoningText string `json:"reasoning_text"`
	Text          string `json:"text"`
}
