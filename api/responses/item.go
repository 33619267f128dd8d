package responses

import (
	"bytes"
	"crypto/rand"
	"encoding/json"

	"github.com/reasond/reasond/api/openai"
)

// The types of items that are built.
const (
	TypeMessage   = "message"
	TypeReasoning = "reasoning"
	TypeCall      = "function_call"
	TypeOutput    = "function_call_output"
	typeReference = "item_reference"
)

// The states of a response; items have the first three.
const (
	InProgress = "in_progress"
	Completed  = "completed"
	Incomplete = "incomplete"
	Failed     = "failed"
	Cancelled  = "cancelled"
)

// Item is one entry of an input or an output. Of its members those of its type
// are set.
type Item struct {
	Type   string
	ID     string
	Status string

	Role  string // message: user, assistant, system, developer
	Parts []Part // message, reasoning

	CallID    string // function_call, function_call_output
	Name      string // function_call
	Arguments string // function_call: JSON
	Output    string // function_call_output
}

// Part is a piece of an item's content.
type Part struct {
	Type     string // input_text, output_text, reasoning_text, refusal
	Text     string
	Logprobs []openai.TokenLogprob // output_text, where they are asked for
}

// newID is an id that is nobody else's; kinds are told by their prefix.
func newID(kind string) string { return idPrefix[kind] + rand.Text() }

var idPrefix = map[string]string{TypeMessage: "msg_", TypeReasoning: "rs_", TypeCall: "fc_", TypeOutput: "fco_"}

// Bytes is about what the item holds in memory.
func (i *Item) Bytes() int {
	n := 256 + len(i.ID) + len(i.Name) + len(i.CallID) + len(i.Arguments) + len(i.Output)
	for _, p := range i.Parts {
		n += 64 + len(p.Text)
		for _, l := range p.Logprobs {
			n += (len(l.TopLogprobs) + 1) * 96
		}
	}
	return n
}

// MarshalJSON writes the members of the item's type, all of them.
func (i Item) MarshalJSON() ([]byte, error) {
	parts := i.Parts
	if parts == nil {
		parts = []Part{}
	}
	switch i.Type {
	case TypeReasoning:
		return encode(struct {
			ID      string   `json:"id"`
			Type    string   `json:"type"`
			Status  string   `json:"status"`
			Summary []string `json:"summary"` // none is made: the text itself is there
			Content []Part   `json:"content"`
		}{i.ID, i.Type, i.Status, []string{}, parts})
	case TypeCall:
		return encode(struct {
			ID        string `json:"id"`
			Type      string `json:"type"`
			Status    string `json:"status"`
			CallID    string `json:"call_id"`
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		}{i.ID, i.Type, i.Status, i.CallID, i.Name, i.Arguments})
	case TypeOutput:
		return encode(struct {
			ID     string `json:"id"`
			Type   string `json:"type"`
			Status string `json:"status"`
			CallID string `json:"call_id"`
			Output string `json:"output"`
		}{i.ID, i.Type, i.Status, i.CallID, i.Output})
	}
	return encode(struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Status  string `json:"status"`
		Role    string `json:"role"`
		Content []Part `json:"content"`
	}{i.ID, i.Type, i.Status, i.Role, parts})
}

// MarshalJSON writes the members of the part's type, all of them.
func (p Part) MarshalJSON() ([]byte, error) {
	switch p.Type {
	case "output_text":
		logprobs := p.Logprobs
		if logprobs == nil {
			logprobs = []openai.TokenLogprob{}
		}
		return encode(struct {
			Type        string                `json:"type"`
			Text        string                `json:"text"`
			Annotations []string              `json:"annotations"` // none are made
			Logprobs    []openai.TokenLogprob `json:"logprobs"`
		}{p.Type, p.Text, []string{}, logprobs})
	case "refusal":
		return encode(struct {
			Type    string `json:"type"`
			Refusal string `json:"refusal"`
		}{p.Type, p.Text})
	}
	return encode(struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}{p.Type, p.Text})
}

// encode is json.Marshal without the escapes that only HTML needs: those are for
// whoever encodes the whole.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
