package reasoning

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// state is where the machine is in an answer. It only ever goes forward.
type state uint8

const (
	before   state = iota // not thinking, only white space so far: a tag may open
	opening               // thinking, only white space so far: further opens are dropped
	thinking              // in the thought: the closing tag or tool markup ends it
	answer                // all that follows is content, tags included
)

// tags is the machine of all formats that put the thought between two tags.
//
//	before   --open-->          opening
//	before   --other text-->    answer
//	opening  --other text-->    thinking
//	opening, thinking --close--> answer
//	opening, thinking --tool-->  answer, and the markup is content
//
// White space before an opening tag is dropped where the answer did not start
// in a thought; everywhere else it is kept. A Feed takes time linear in its
// text and allocates nothing: segments are slices of the text or of a marker.
type tags struct {
	f     *format
	tools []string // markers that end the thought; none without tools in the request
	first string   // the bytes that markers begin with
	state state

	off   int    // offset in the raw text of held
	held  string // the beginning of a marker, held back
	space []byte // state before: the white space in front of held, held back too
	line  line   // where in a line the thought is; only with tools
}

func newTags(f *format, s reasoning.Start) *tags {
	m := &tags{f: f}
	if s.HasTools {
		m.tools = f.tools
	}
	m.first = f.close[:1]
	for _, tool := range m.tools {
		if !strings.Contains(m.first, tool[:1]) {
			m.first += tool[:1]
		}
	}
	if s.Open == reasoning.OpenYes || s.Open == reasoning.OpenUnknown && f.thinks(s) {
		m.state = opening
	}
	return m
}

// Feed implements reasoning.Parser.
func (m *tags) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	if text == "" {
		return dst
	}
	in := input{held: m.held, text: text, off: m.off}
	m.held = ""
	at := 0
	if m.state == before {
		dst, at = m.lead(dst, &in)
	}
	for m.state == opening && at < in.len() {
		dst, at = m.leadThought(dst, &in, at)
	}
	if m.state == thinking && at < in.len() {
		dst, at = m.think(dst, &in, at)
	}
	if m.state == answer {
		dst = in.emit(dst, reasoning.Content, at, in.len())
	}
	m.off += in.len() - len(m.held)
	return dst
}

// Close implements reasoning.Parser.
func (m *tags) Close(dst []reasoning.Segment) []reasoning.Segment {
	in := input{held: m.held, off: m.off}
	m.held = ""
	if m.state == before {
		return in.emit(m.releaseSpace(dst), reasoning.Content, 0, in.len())
	}
	return in.emit(dst, reasoning.Reasoning, 0, in.len())
}

// lead is the state before. It returns where the next state goes on.
func (m *tags) lead(dst []reasoning.Segment, in *input) ([]reasoning.Segment, int) {
	p := 0
	if in.held == "" { // what is held back starts a marker, so no white space
		p = in.skipSpace(0)
	}
	if p < in.len() {
		whole, part := in.match(m.f.open, p)
		if whole {
			m.state, m.space = opening, nil
			return dst, p + len(m.f.open)
		}
		if !part {
			m.state = answer
			return m.releaseSpace(dst), 0
		}
		m.held = m.f.open[:in.len()-p]
	}
	if p > 0 {
		m.space = append(m.space, in.text[:p]...)
	}
	return dst, in.len()
}

// releaseSpace emits the white space held back: it was the answer's own.
func (m *tags) releaseSpace(dst []reasoning.Segment) []reasoning.Segment {
	if len(m.space) == 0 {
		return dst
	}
	space := string(m.space)
	m.space = nil
	return append(dst, reasoning.Segment{
		Kind: reasoning.Content, Start: m.off - len(space), End: m.off, Text: space,
	})
}

// leadThought is the state opening, from at to behind an opening tag or to the
// first text.
func (m *tags) leadThought(dst []reasoning.Segment, in *input, at int) ([]reasoning.Segment, int) {
	p := in.skipSpace(at)
	dst = in.emit(dst, reasoning.Reasoning, at, p)
	m.read(in, at, p)
	if p == in.len() {
		return dst, p
	}
	whole, part := in.match(m.f.open, p)
	switch {
	case whole:
		m.line = line{}
		return dst, p + len(m.f.open)
	case part:
		m.held = m.f.open[:in.len()-p]
		return dst, in.len()
	}
	m.state = thinking
	return dst, p
}

// think is the state thinking, from at to what ends the thought.
func (m *tags) think(dst []reasoning.Segment, in *input, at int) ([]reasoning.Segment, int) {
	for p := at; ; {
		q := in.next(p, m.first)
		m.read(in, p, q)
		if q == in.len() {
			return in.emit(dst, reasoning.Reasoning, at, q), q
		}
		marker, whole := m.end(in, q)
		switch {
		case whole:
			m.state = answer
			dst = in.emit(dst, reasoning.Reasoning, at, q)
			if marker == m.f.close {
				q += len(marker)
			}
			return dst, q
		case marker != "":
			m.held = marker[:in.len()-q]
			return in.emit(dst, reasoning.Reasoning, at, q), in.len()
		}
		p = q + 1
		m.read(in, q, p)
	}
}

// end is the marker at p that ends the thought, or that may be about to.
func (m *tags) end(in *input, p int) (marker string, whole bool) {
	whole, part := in.match(m.f.close, p)
	if whole || part {
		return m.f.close, whole
	}
	if len(m.tools) == 0 || !m.line.start() || m.line.fenced() {
		return "", false
	}
	for _, tool := range m.tools {
		if whole, part := in.match(tool, p); whole || part {
			return tool, whole
		}
	}
	return "", false
}

// read follows the lines of the thought, which only tool markup asks for.
func (m *tags) read(in *input, from, to int) {
	if len(m.tools) > 0 {
		held, text := in.cut(from, to)
		m.line.read(held)
		m.line.read(text)
	}
}
