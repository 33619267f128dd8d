package pipeline

import (
	"crypto/rand"
	"encoding/json"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/llm"
)

// calls makes a parser's tool segments into elements of OpenAI's
// delta.tool_calls: a call is begun once its name is whole, its arguments
// follow in pieces as they come, or whole where json has to make JSON of them.
type calls struct {
	name    []byte // of the call whose name is coming; nil: none is
	open    bool   // a call is begun whose arguments json has yet to make
	dropped bool   // the call at hand is one too many
	count   int
	end     int                     // where the last piece of the name ended
	raw     []byte                  // arguments for json
	json    func(raw string) string // reasoning.Descriptor.Arguments
}

// callPiece is such an element.
type callPiece struct {
	Index    int          `json:"index"`
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function functionPart `json:"function"`
}

type functionPart struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// call takes a tool segment. Neighbouring pieces are one name; a name somewhere
// else is another call.
func (c *choice) call(s reasoning.Segment, text string) {
	c.flushThought()
	if s.Kind == reasoning.ToolName {
		if c.calls.name == nil || s.Start != c.calls.end {
			c.endCall()
		}
		c.calls.name, c.calls.end = append(c.calls.name, text...), s.End
		return
	}
	c.beginCall()
	switch {
	case text == "" || c.calls.count == 0 || c.calls.dropped:
	case c.calls.json != nil:
		c.calls.raw = append(c.calls.raw, text...)
	default:
		c.piece(callPiece{Index: c.calls.count - 1, Function: functionPart{Arguments: text}})
	}
}

// beginCall announces the call whose name is whole, if there is one.
func (c *choice) beginCall() {
	if c.calls.name == nil {
		return
	}
	if c.calls.dropped = c.calls.count > 0 && c.req.OneCall; !c.calls.dropped {
		c.begin(string(c.calls.name))
	}
	c.calls.name, c.calls.open = nil, !c.calls.dropped
}

// begin announces a call.
func (c *choice) begin(name string) {
	c.piece(callPiece{Index: c.calls.count, ID: "call_" + rand.Text(), Type: "function", Function: functionPart{Name: name}})
	c.calls.count++
}

// endCall begins the call whose name is whole and ends the one that is begun.
func (c *choice) endCall() {
	if c.calls.name == nil && !c.calls.open && len(c.calls.raw) == 0 {
		return
	}
	c.beginCall()
	if c.calls.open && c.calls.json != nil {
		c.piece(callPiece{Index: c.calls.count - 1, Function: functionPart{Arguments: c.calls.json(string(c.calls.raw))}})
	}
	c.calls.open, c.calls.raw = false, c.calls.raw[:0]
}

func (c *choice) piece(p callPiece) {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number
	}
	c.pending = append(c.pending, llm.Event{Choice: c.index, Kind: llm.EventToolCall, Text: string(data)})
}
