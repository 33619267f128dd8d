package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/guide"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/toolcall"
)

// toolReader looks for tool calls in content. Its parser sees content alone; the
// spans say where in the raw text each piece of that lies.
type toolReader struct {
	new    func() toolcall.Parser
	parser toolcall.Parser
	pieces []toolcall.Piece
	spans  []contentSpan // not yet covered by a piece
	fed    int           // bytes
}

// contentSpan is content of one segment.
type contentSpan struct {
	at    int // in the parser's input
	start int // in the raw text
	text  string
}

// toolReader is the request's reader of calls; nil where content has none: the
// model has no format for them, the request offers no tools, or wants the text
// as the model wrote it.
func (m *Model) toolReader(req *Request) *toolReader {
	if m.Tools == nil || len(req.Chat.Tools) == 0 || req.NoParser || req.RawContent || !req.SeparateReasoning {
		return nil
	}
	if g := req.Grammar; g != nil && g.Kind != GrammarStructural {
		return nil // what looks like a call is what the request's grammar asks for
	}
	tools := toolcall.ReadTools(req.Chat.Tools)
	r := &toolReader{new: func() toolcall.Parser { return m.Tools.New(tools) }}
	r.parser = r.new()
	return r
}

// toolContent passes a content segment through the reader.
func (c *choice) toolContent(s reasoning.Segment, text string) {
	r := c.tools
	r.spans = append(r.spans, contentSpan{r.fed, s.Start, text})
	r.fed += len(text)
	r.pieces = r.parser.Feed(r.pieces[:0], text)
	c.toolPieces()
}

// closeTools lets go of what the reader holds: something else follows, which no
// call spans.
func (c *choice) closeTools() {
	r := c.tools
	if r == nil || r.fed == 0 {
		return
	}
	r.pieces = r.parser.Close(r.pieces[:0])
	c.toolPieces()
	r.parser, r.spans, r.fed = r.new(), r.spans[:0], 0
}

func (c *choice) toolPieces() {
	for _, p := range c.tools.pieces {
		if c.match != nil {
			return
		}
		if p.Kind == toolcall.Content {
			c.toolText(p)
			continue
		}
		c.toolCall(p)
	}
}

// toolText is content that belongs to no call.
func (c *choice) toolText(p toolcall.Piece) {
	r, n := c.tools, 0
	for _, span := range r.spans {
		from, to := max(p.Start, span.at), min(p.End, span.at+len(span.text))
		if from < to {
			start := span.start + from - span.at
			c.contentSegment(reasoning.Segment{Kind: reasoning.Content, Start: start, End: start + to - from}, span.text[from-span.at:to-span.at])
		}
		if span.at+len(span.text) > p.End {
			break
		}
		n++
	}
	r.spans = append(r.spans[:0], r.spans[n:]...)
}

// toolCall passes on a piece of a call. Without parallel calls what comes after
// the first one is dropped.
func (c *choice) toolCall(p toolcall.Piece) {
	if p.Kind == toolcall.Begin {
		if !c.release() {
			return
		}
		c.flushThought()
		c.calls.dropped = c.calls.count > 0 && c.req.OneCall
	}
	switch {
	case c.calls.dropped:
	case p.Kind == toolcall.Begin:
		c.begin(p.Text)
	case p.Kind == toolcall.Arguments:
		c.piece(callPiece{Index: c.calls.count - 1, Function: functionPart{Arguments: p.Text}})
	}
}

// contentSegment shows content that a segment, or a part of one, holds.
func (c *choice) contentSegment(s reasoning.Segment, text string) {
	if c.lead && c.guide != nil && c.guide.Spaced() && !c.bares {
		rest := strings.TrimLeft(text, guide.Space)
		if rest == "" {
			return
		}
		s.Start, text, c.lead = s.End-len(rest), rest, false
	}
	c.showContent(s, text)
}

// ToolChoice says whether, and which, tool is to be called.
type ToolChoice struct {
	Required bool   // at least one call
	Name     string // of this function; "": of any
	// Allowed are the functions that may be called; nil: all.
	Allowed []string
}

// callWriter writes the grammar of answers with calls: the reasoning parser's,
// where that finds calls itself, or the tool format's; nil: there is none. format
// is its name, "" where it is not known how the model writes calls.
func (m *Model) callWriter() (write func([]toolcall.Function, toolcall.Writing) (string, error), format string) {
	switch {
	case m.Parser != nil && m.Parser.Tools:
		return m.Parser.Grammar, m.Parser.Name
	case m.Tools != nil:
		return m.Tools.Grammar, m.Tools.Name
	}
	return nil, ""
}

// callsHeld reports whether the request's calls are held to a grammar, and the
// field that asks for it: an answer must call, or may call some of the functions
// only, or a function is strict and nothing else binds the answer.
func (m *Model) callsHeld(req *Request) (field string, held bool) {
	_, format := m.callWriter()
	switch {
	case req.ToolChoice.Required || req.ToolChoice.Allowed != nil:
		return "tool_choice", true
	case req.Grammar != nil || req.NoParser || format == "":
		return "", false
	}
	return "tools", slices.ContainsFunc(toolcall.Functions(req.Chat.Tools), func(f toolcall.Function) bool { return f.Strict })
}

// wholeHeld reports whether the grammar of calls is of all that a choice writes.
func (m *Model) wholeHeld(req *Request) bool {
	_, held := m.callsHeld(req)
	return held && m.Parser != nil && m.Parser.Tools
}

// callGrammar is the grammar of an answer with calls; of nothing but calls where
// one is required.
func (m *Model) callGrammar(req *Request, field string) (*Grammar, error) {
	write, format := m.callWriter()
	switch {
	case len(req.Chat.Tools) == 0:
		return nil, llm.Errorf(llm.Invalid, field, "%s: there are no tools to call", field)
	case format == "":
		return nil, llm.Errorf(llm.Unsupported, field, "%s: how this model writes tool calls is not known (--tool-call-parser)", field)
	case write == nil:
		return nil, llm.Errorf(llm.Unsupported, field, "%s: calls as %s has them cannot be held to a grammar", field, format)
	}
	functions, err := chosen(req)
	if err != nil {
		return nil, err
	}
	w := toolcall.Writing{Marker: m.marker, Ends: m.ends, One: req.OneCall || req.ToolChoice.Name != "", Free: !req.ToolChoice.Required}
	source, err := write(functions, w)
	if err != nil {
		at := "tools"
		for i, f := range toolcall.Functions(req.Chat.Tools) {
			if _, wrong := write([]toolcall.Function{f}, w); wrong != nil && slices.ContainsFunc(functions, func(g toolcall.Function) bool { return g.Name == f.Name }) {
				at, err = fmt.Sprintf("tools[%d].function.parameters", i), wrong
				break
			}
		}
		return nil, llm.Errorf(llm.Invalid, at, "%s: calls as %s has them cannot be held to a grammar: %s", at, format, err)
	}
	return &Grammar{Spec: grammar.Spec{Kind: grammar.Lark, Source: source}, Field: field}, nil
}

// chosen are the functions that may be called.
func chosen(req *Request) ([]toolcall.Function, error) {
	all := toolcall.Functions(req.Chat.Tools)
	names := req.ToolChoice.Allowed
	if req.ToolChoice.Name != "" {
		names = []string{req.ToolChoice.Name}
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(f toolcall.Function) bool { return f.Name == name }) {
			return nil, llm.Errorf(llm.Invalid, "tool_choice", "tool_choice: no tool is called %.60q", name)
		}
	}
	if names == nil {
		return all, nil
	}
	return slices.DeleteFunc(all, func(f toolcall.Function) bool { return !slices.Contains(names, f.Name) }), nil
}

// ends reports whether a marker is a token that ends an answer.
func (m *Model) ends(text string) bool {
	id, ok := m.Tokenizer.Vocab().ID(text)
	return ok && slices.Contains(m.EOS, id)
}

// marker is a marker's token as a grammar writes it, where it is a control token.
func (m *Model) marker(text string) (id int32, control bool) {
	id, ok := m.Tokenizer.Vocab().ID(text)
	return id, ok && m.Tokenizer.Vocab().IsControl(id)
}
