package reasoning

import (
	"errors"
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark"
)

// Muse addresses each message (chat templates of Muse Glimmer and Muse Spark):
//
//	<|start|>assistant to=self<|message|>…<|eom|>
//	<|start|>assistant to=user<|message|>…<|eot|>
//	<|start|>assistant to=tool.f<|message|><atem:function_calls>
//	<atem:invoke name="tool.f"><atem:parameter name="k">…</atem:parameter></atem:invoke>
//	</atem:function_calls><|eom|>
//
// and the prompt ends with the first "<|start|>assistant". A message to
// "commentary" is for the user. Spark's messages to nobody are thought,
// Glimmer's are the answer.
func init() {
	registerFraming(muse("muse", "to=self<|message|>…<|eom|>, a message to nobody is thought (Muse Spark)", thought, "musespark1x", "muse-spark"))
	registerFraming(muse("muse-glimmer", "to=self<|message|>…<|eom|>, a message to nobody is the answer (Muse Glimmer)", content))
}

func muse(name, doc string, nobody frame, aliases ...string) *framing {
	ends := []mark{
		{text: "<|start|>", does: begin}, {text: "<|eom|>", frame: outside}, {text: "<|eot|>", frame: outside},
	}
	with := func(more ...mark) []mark { return append(more, ends...) }
	tools := frame{kind: inDropped, marks: with(mark{text: `<atem:invoke name="`, does: begin})}
	call := frame{kind: inArguments, tool: true, marks: with(mark{text: "</atem:invoke>", frame: tools})}
	return &framing{
		name: name, aliases: aliases, doc: doc,
		opens: []string{" to=self<|message|>"}, closes: []string{"<|eom|>", "<|eot|>"},
		ends: "<|eom|><|start|>assistant to=user<|message|>",
		between: with(mark{text: "assistant to=", does: maybe}, mark{text: "to=", does: maybe},
			mark{text: "assistant<|message|>", does: end}, mark{text: "<|message|>", does: end}),
		header:    with(mark{text: "<|message|>", does: end}, mark{text: `">`, does: end}),
		body:      with(mark{text: "<|message|>", does: skip}),
		head:      func(h header) frame { return museHead(h, nobody, tools, call) },
		inner:     []frame{tools, call},
		arguments: museArguments, turn: museTurn,
	}
}

// museTurn is how the chat templates render a turn, which has one call.
var museTurn = &turn{
	next:    []string{"<|start|>", "assistant"},
	thought: span{[]string{" to=self", "<|message|>"}, []string{"<|eom|>"}},
	says:    []span{{[]string{" to=user", "<|message|>"}, []string{"<|eom|>"}}},
	opens:   "<|message|>",
	between: []string{"<|eom|>", "<|start|>", "assistant"}, end: []string{"<|eom|>"},
	call: func(g *lark.Grammar, f reasoning.Function, _ int) (string, error) {
		if !lark.IsWord(f.Name) {
			return "", errNoWord
		}
		if slices.Contains(museRecipients, f.Name) {
			return "", errors.New("the name is a recipient of the format's own")
		}
		args, err := museElements.write(g, f)
		return join(g.Marks(" to="+f.Name, "<|message|>", "<atem:function_calls>\n<atem:invoke name=\""+f.Name+"\">\n"),
			args, g.Marks("</atem:invoke>\n</atem:function_calls>")), err
	},
}

// museRecipients are none's tools.
var museRecipients = []string{"self", "user", "commentary", "assistant", "developer", "system"}

var museElements = &elements{
	open:  func(key, _ string) []string { return []string{`<atem:parameter name="` + key + `">`} },
	close: []string{"</atem:parameter>", "\n"}, avoid: []string{`<atem:parameter name="`, "</atem:invoke>"}, style: lark.Loose,
}

func museHead(h header, nobody, tools, call frame) frame {
	if h.opened() == `<atem:invoke name="` {
		call.name = [2]int{h.opener, len(h.text)}
		return call
	}
	role := strings.TrimSpace(strings.TrimPrefix(h.text, "<|start|>"))
	if role = role[:wordLen(role)]; role != "" && role != "assistant" && !strings.HasPrefix(role, "to=") {
		return dropped
	}
	from := nameAfter(h.text, "to=")
	if from < 0 {
		return nobody
	}
	switch recipient := h.text[from : from+wordLen(h.text[from:])]; recipient {
	case "self":
		return thought
	case "user", "commentary", "assistant":
		return content
	case "developer", "system":
		return dropped
	}
	return tools
}

// museArguments makes JSON of a call's parameter elements.
func museArguments(raw string) string {
	var object jsonObject
	for {
		_, rest, found := strings.Cut(raw, `<atem:parameter name="`)
		if !found {
			return object.String()
		}
		key, body, _ := strings.Cut(rest, `">`)
		value, after, _ := strings.Cut(body, "</atem:parameter>")
		object.add(key, value, false)
		raw = after
	}
}
