package reasoning

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
)

// shape is what the laws must know of a parser that is no row of the tag table.
type shape struct {
	markers []string // all, headers that matter included
	// lead may stand in front of a marker, or alone, in a gap.
	lead string
	// calls are markers of frames that hold calls in JSON.
	calls []string
	// drops: what is markup is the format's own affair.
	drops bool
}

// shapes are the shapes by parser.
var shapes = sync.OnceValue(func() map[string]shape {
	all := map[string]shape{}
	for _, f := range framings {
		s := shape{}
		for _, set := range f.sets() {
			for _, m := range set {
				if !slices.Contains(s.markers, m.text) {
					s.markers = append(s.markers, m.text)
					if m.frame.call != nil {
						s.calls = append(s.calls, m.text)
					}
				}
			}
		}
		if f.echo {
			s.lead = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:"
		}
		s.markers = append(s.markers, samples[f.name]...)
		all[f.name] = s
	}
	all["response-template"] = shape{markers: []string{
		"<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end|>", `<tool_call>{"name": "f", "arguments": {}}`,
	}, calls: []string{"<tool_call>"}}
	for name := range templates() {
		all["template "+name] = shape{drops: true}
	}
	return all
})

// samples are whole headers, so that random texts have some.
var samples = map[string][]string{
	"gpt-oss": {
		"<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|start|>assistant<|channel|>final<|message|>",
		"to=functions.f<|channel|>commentary json<|message|>", "<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
	},
	"kimi-k3": {
		"<|open|>think<|sep|>", "<|close|>think<|sep|>", "<|open|>response<|sep|>", "<|close|>response<|sep|>",
		"<|open|>tools<|sep|>", `<|open|>call tool="f" index="0"<|sep|>`, `<|open|>argument key="k" type="string"<|sep|>`,
	},
	"muse": {
		"to=self<|message|>", "<|start|>assistant to=user<|message|>", "<|start|>assistant to=t.f<|message|>", `<atem:invoke name="f">`,
	},
	"muse-glimmer":    {"to=self<|message|>", "<|start|>assistant<|message|>"},
	"cohere-command4": {`<|START_ACTION|>[{"tool_name": "f", "parameters": {"a": "}"}}]`},
	"inkling":         {`<|content_invoke_tool_json|>{"name": "f", "args": {"a": 1}}`},
}

// markup says whether a gap of such a parser is its markup: markers come first,
// and what follows them is header or frame.
func (s shape) markup(gap string) bool {
	rest := strings.TrimLeft(strings.TrimLeft(gap, white), s.lead)
	return s.drops || rest == "" || slices.ContainsFunc(s.markers, func(m string) bool {
		return strings.HasPrefix(rest, m) || strings.HasPrefix(m, rest)
	}) || len(rest) < len(gap) && s.lead != ""
}

// inCalls says whether the text ends within a frame of calls in JSON: arguments
// ahead of their name are content there, and what is around them is markup.
func (s shape) inCalls(text string) bool {
	last, inside := -1, false
	for _, m := range s.markers {
		if at := strings.LastIndex(text, m); at > last {
			last, inside = at, slices.Contains(s.calls, m)
		}
	}
	return inside
}

// amongCalls says whether the gap in front of a segment is beside a tool's name
// or arguments: what holds them together is markup.
func amongCalls(segments []reasoning.Segment, i int) bool {
	isCall := func(s reasoning.Segment) bool {
		return s.Kind == reasoning.ToolName || s.Kind == reasoning.ToolArguments
	}
	return i > 0 && isCall(segments[i-1]) || i < len(segments) && isCall(segments[i])
}

// late is how much of the text up to fed comes later than it could: what is
// emitted in the end, but not by now, white space in front of it excepted.
func late(want []reasoning.Segment, raw string, end, fed int) int {
	first, n := -1, 0
	for _, s := range want {
		from, to := max(s.Start, end), min(s.End, fed)
		if from >= to {
			continue
		}
		text := raw[from:to]
		if first < 0 {
			text = strings.TrimLeft(text, white)
		}
		if text != "" {
			first = from
		}
		n += len(text)
	}
	return n
}

// call is a tool call of a golden.
type call struct{ Name, Arguments string }

// foldCalls puts a parser's tool calls together.
func foldCalls(d reasoning.Descriptor, segments []reasoning.Segment) []call {
	var calls []call
	for _, s := range folded(segments) {
		switch {
		case s.Kind == reasoning.ToolName:
			calls = append(calls, call{Name: s.Text})
		case s.Kind == reasoning.ToolArguments && len(calls) > 0:
			calls[len(calls)-1].Arguments += s.Text
		}
	}
	for i := range calls {
		if d.Arguments != nil {
			calls[i].Arguments = d.Arguments(calls[i].Arguments)
		}
	}
	return calls
}

// A text without the format's markers is content as a whole.
func TestTextWithoutMarkersIsContent(t *testing.T) {
	for name, s := range shapes() {
		if s.drops {
			continue
		}
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range []string{"Hello", " Hello, a < b\n", "\n\n", "to= be", "assistant to=x, and", "name other", "{\"a\": 1}\n"} {
			p := d.New(reasoning.Start{Open: reasoning.OpenNo, HasTools: true})
			thought, content := fold(p.Close(p.Feed(nil, raw)))
			if thought != "" || content != raw {
				t.Errorf("%s: %q gives %q | %q", name, raw, thought, content)
			}
		}
	}
}
