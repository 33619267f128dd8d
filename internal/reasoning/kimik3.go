package reasoning

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark"
)

// Kimi K3 writes an answer in elements of its own ("XTML"; chat template and
// documentation of Kimi-K3):
//
//	<|open|>think<|sep|>…<|close|>think<|sep|>
//	<|open|>response<|sep|>…<|close|>response<|sep|>
//	<|open|>tools<|sep|><|open|>call tool="f" index="0"<|sep|>
//	  <|open|>argument key="k" type="string"<|sep|>…<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>
//	<|close|>message<|sep|><|end_of_msg|>
//
// The prompt has opened the thought, or the response where thinking is off.
func init() {
	between := []mark{
		{text: "<|open|>", does: begin}, {text: "<|close|>", does: begin},
		{text: "<|sep|>", does: skip}, {text: "<|end_of_msg|>", frame: outside},
	}
	header := []mark{
		{text: "<|open|>", does: begin}, {text: "<|close|>", does: begin},
		{text: "<|sep|>", does: end}, {text: "<|end_of_msg|>", frame: outside},
	}
	registerFraming(&framing{
		name: "kimi-k3", aliases: []string{"kimik3"},
		doc:   "<|open|>think<|sep|>…<|close|>think<|sep|>, response and tools likewise, unless thinking is switched off (Kimi K3)",
		opens: []string{"<|open|>think<|sep|>"}, closes: []string{"<|close|>think<|sep|>"},
		ends:    "<|close|>think<|sep|><|open|>response<|sep|>",
		between: between, header: header, body: between,
		head: kimiHead, inner: []frame{kimiCall, kimiTools},
		thinks: unlessOff, arguments: kimiArguments, turn: kimiTurn,
	})
}

// kimiTurn is how Kimi K3's encoding renders a turn; calls are counted from one.
var kimiTurn = &turn{
	thought: span{kimiElement("<|open|>", "think"), kimiElement("<|close|>", "think")},
	says:    []span{{kimiElement("<|open|>", "response"), kimiElement("<|close|>", "response")}},
	inside:  kimiElement("<|close|>", "response"),
	opens:   "<|open|>",
	begin:   kimiElement("<|open|>", "tools"), end: kimiElement("<|close|>", "tools"),
	counted: true,
	call: func(g *lark.Grammar, f reasoning.Function, n int) (string, error) {
		if !lark.IsWord(f.Name) {
			return "", errNoWord
		}
		args, err := kimiElements.write(g, f)
		head := fmt.Sprintf(`call tool="%s" index="%d"`, f.Name, n+1)
		return join(g.Marks(kimiElement("<|open|>", head)...), args, g.Marks(kimiElement("<|close|>", "call")...)), err
	},
}

func kimiElement(open, head string) []string { return []string{open, head, "<|sep|>"} }

var kimiElements = &elements{
	open: func(key, kind string) []string {
		return kimiElement("<|open|>", `argument key="`+key+`" type="`+kind+`"`)
	},
	close: kimiElement("<|close|>", "argument"), avoid: []string{"<|open|>"}, typed: true, style: lark.Loose,
}

// A call's arguments are elements themselves: no marker within them counts.
var (
	kimiEnds = []mark{
		{text: "<|close|>call<|sep|>", frame: outside}, {text: "<|close|>tools<|sep|>", frame: outside},
		{text: "<|close|>message<|sep|>", frame: outside}, {text: "<|end_of_msg|>", frame: outside},
	}
	kimiCall  = frame{kind: inArguments, tool: true, marks: kimiEnds}
	kimiTools = frame{kind: inBetween, tool: true, marks: append([]mark{{text: "<|open|>", does: begin}}, kimiEnds...)}
)

func kimiHead(h header) frame {
	element := h.rest()
	element = element[:wordLen(element)]
	if h.opened() == "<|close|>" {
		switch element {
		case "think", "response", "tools", "call", "message":
			return outside
		}
		return same
	}
	switch element {
	case "think":
		return thought
	case "response":
		return content
	case "message":
		return outside
	case "tools":
		return kimiTools
	case "call":
		f := kimiCall
		if from := nameAfter(h.text, `tool="`); from >= 0 {
			if n := strings.IndexByte(h.text[from:], '"'); n > 0 {
				f.name = [2]int{from, from + n}
			}
		}
		return f
	}
	return same
}

// kimiArguments makes JSON of a call's argument elements.
func kimiArguments(raw string) string {
	var object jsonObject
	for {
		_, rest, found := strings.Cut(raw, "<|open|>argument ")
		if !found {
			return object.String()
		}
		head, body, _ := strings.Cut(rest, "<|sep|>")
		value, after, _ := strings.Cut(body, "<|close|>argument<|sep|>")
		object.add(attribute(head, "key"), value, attribute(head, "type") == "string")
		raw = after
	}
}

// attribute is the value of key="…" in a header.
func attribute(header, key string) string {
	_, rest, _ := strings.Cut(header, key+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// jsonObject puts an object together from values written one by one.
type jsonObject struct{ text []byte }

// add appends a member. A value that is text, or that is no JSON, is a string.
func (o *jsonObject) add(key, value string, text bool) {
	o.text = append(o.text, ","[:min(len(o.text), 1)]...)
	name, _ := json.Marshal(key)
	o.text = append(append(o.text, name...), ':')
	if !text && json.Valid([]byte(value)) {
		o.text = append(o.text, strings.TrimSpace(value)...)
		return
	}
	quoted, _ := json.Marshal(value)
	o.text = append(o.text, quoted...)
}

func (o *jsonObject) String() string { return "{" + string(o.text) + "}" }
