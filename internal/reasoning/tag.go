package reasoning

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// state is where the machine is in an answer.
type state uint8

const (
	before   state = iota // not thinking, only white space so far: a tag may open
	labelled              // thinking, right behind an opening tag: its label may follow
	opening               // thinking, only white space so far: further opens are dropped
	thinking              // in the thought: the closing tag or tool markup ends it
	calling               // in a call that the thought holds: content until it ends
	behind                // right behind a closing tag: what the format drops there may follow
	answer                // content
)

// part is where the machine is in a format that has tags around the answer.
type part uint8

const (
	unwrapped part = iota // the format has none, or they are both behind
	wrapping              // the opening one may come
	wrapped               // it came
)

// tags is the machine of all formats that put the thought between two tags.
//
//	before    --open-->          labelled
//	before    --stray close-->   behind
//	before    --other text-->    answer
//	labelled  --label or not-->  opening
//	opening   --open-->          labelled
//	opening   --other text-->    thinking
//	thinking  --close-->         behind
//	thinking  --tool-->          answer, or calling; the markup is content
//	calling   --tool end-->      thinking; the markup is content
//	behind    --other text-->    answer
//	answer    --answer's close-> behind
//	answer    --open-->          labelled, where thoughts may come again
//
// White space before an opening tag is dropped where the answer did not start
// in a thought; everywhere else it is kept. A Feed takes time linear in its
// text and allocates nothing: segments are slices of the text or of a marker.
type tags struct {
	f        *format
	tags     []tag    // those that this request may come with
	closing  []tag    // those of them that the thought may close with
	tools    []string // markers that end the thought; none without tools in the request
	anywhere bool     // tool markup may stand within a line
	first    string   // the bytes that markers begin with
	state    state
	part     part

	off   int    // offset in the raw text of held
	held  string // the beginning of a marker, held back
	space []byte // state before: the white space in front of held, held back too
	line  line   // where in a line the thought is; only with tools
}

func newTags(f *format, s reasoning.Start) *tags {
	m := &tags{f: f, tags: f.tags}
	if f.choose != nil {
		m.tags = f.choose(s, f.tags)
	}
	m.closing = m.tags
	if s.HasTools {
		m.tools = f.tools
	}
	if f.toolTokens && s.Token != nil {
		for _, tool := range m.tools {
			m.anywhere = m.anywhere || s.Token(tool)
		}
	}
	if f.answer.open != "" {
		m.part = wrapping
		m.begins(f.answer.close)
	}
	for _, t := range m.tags {
		m.begins(t.open)
		m.begins(t.close)
	}
	for _, tool := range m.tools {
		m.begins(tool)
	}
	if s.Open == reasoning.OpenYes || s.Open == reasoning.OpenUnknown && f.thinks(s) {
		m.state = opening
	}
	return m
}

// Stage implements reasoning.Stager.
func (m *tags) Stage() reasoning.Stage {
	switch m.state {
	case before:
		return reasoning.Undecided
	case labelled, opening, thinking:
		return reasoning.InReasoning
	}
	return reasoning.InAnswer
}

// begins adds to the bytes that markers begin with.
func (m *tags) begins(marker string) {
	if !strings.Contains(m.first, marker[:1]) {
		m.first += marker[:1]
	}
}

// Feed implements reasoning.Parser.
func (m *tags) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	if text == "" {
		return dst
	}
	if m.held == "" && m.plain(text) {
		kind, start := reasoning.Content, m.off
		if m.state == thinking {
			kind = reasoning.Reasoning
			if len(m.tools) > 0 {
				m.line.read(text)
			}
		}
		m.off += len(text)
		return append(dst, reasoning.Segment{Kind: kind, Start: start, End: m.off, Text: text})
	}
	in := input{held: m.held, text: text, off: m.off}
	m.held = ""
	for at := 0; at < in.len(); {
		switch m.state {
		case before:
			dst, at = m.lead(dst, &in)
		case labelled:
			at = m.label(&in, at)
		case opening:
			dst, at = m.leadThought(dst, &in, at)
		case thinking:
			dst, at = m.think(dst, &in, at)
		case calling:
			dst, at = m.call(dst, &in, at)
		case behind:
			at = m.trail(&in, at)
		case answer:
			dst, at = m.say(dst, &in, at)
		}
	}
	m.off += in.len() - len(m.held)
	return dst
}

// plain says whether the text holds no byte that a marker begins with, and so,
// within a thought or the answer, is all of a kind: most deltas are like that.
func (m *tags) plain(text string) bool {
	return (m.state == thinking || m.state == answer) && index(text, m.first) < 0
}

// Close implements reasoning.Parser.
func (m *tags) Close(dst []reasoning.Segment) []reasoning.Segment {
	in := input{held: m.held, off: m.off}
	m.held = ""
	kind := reasoning.Content
	switch m.state {
	case before:
		dst = m.releaseSpace(dst)
	case labelled, opening, thinking:
		kind = reasoning.Reasoning
	}
	return in.emit(dst, kind, 0, in.len())
}

// lead is the state before. It returns where the next state goes on.
func (m *tags) lead(dst []reasoning.Segment, in *input) ([]reasoning.Segment, int) {
	p := 0
	if in.held == "" { // what is held back starts a marker, so no white space
		p = in.skipSpace(0)
	}
	if p < in.len() {
		marker, whole := m.open(in, p)
		if !whole && m.f.stray {
			if c, stray := m.closer(in, p); c != "" {
				marker, whole = c, stray
				if stray {
					m.state = behind
				}
			}
		}
		switch {
		case whole:
			m.space = nil
			return dst, p + len(marker)
		case marker == "":
			m.state = answer
			return m.releaseSpace(dst), 0
		}
		m.hold(in, marker, p)
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

// label is the state labelled.
func (m *tags) label(in *input, at int) int {
	whole, part := in.match(m.f.label, at)
	if part {
		m.hold(in, m.f.label, at)
		return in.len()
	}
	m.state = opening
	if whole {
		at += len(m.f.label)
	}
	return at
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
	marker, whole := m.open(in, p)
	switch {
	case whole:
		return dst, p + len(marker)
	case marker != "":
		m.hold(in, marker, p)
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
		marker, whole := m.closer(in, q)
		if whole {
			m.state = behind
			return in.emit(dst, reasoning.Reasoning, at, q), q + len(marker)
		}
		if marker == "" && m.mayCall() {
			if marker, whole = first(in, q, m.tools); whole {
				dst = in.emit(dst, reasoning.Reasoning, at, q)
				at, q = q, q+len(marker)
				m.state = answer
				if m.f.toolEnd != "" {
					m.state = calling
				}
				return in.emit(dst, reasoning.Content, at, q), q
			}
		}
		if marker != "" {
			m.hold(in, marker, q)
			return in.emit(dst, reasoning.Reasoning, at, q), in.len()
		}
		p = q + 1
		m.read(in, q, p)
	}
}

// mayCall says whether tool markup ends the thought here.
func (m *tags) mayCall() bool {
	return len(m.tools) > 0 && (m.anywhere || m.line.start()) && !m.line.fenced()
}

// call is the state calling, from at to behind the call.
func (m *tags) call(dst []reasoning.Segment, in *input, at int) ([]reasoning.Segment, int) {
	p, whole := find(in, at, m.f.toolEnd)
	if whole {
		p += len(m.f.toolEnd)
		m.state = thinking
		return in.emit(dst, reasoning.Content, at, p), p
	}
	m.hold(in, m.f.toolEnd, p)
	return in.emit(dst, reasoning.Content, at, p), in.len()
}

// trail is the state behind.
func (m *tags) trail(in *input, at int) int {
	if m.f.feed {
		at = in.skipLineBreaks(at)
	}
	if at == in.len() {
		return at
	}
	if m.part == wrapping {
		whole, part := in.match(m.f.answer.open, at)
		switch {
		case whole:
			m.part = wrapped
			return at + len(m.f.answer.open)
		case part:
			m.hold(in, m.f.answer.open, at)
			return in.len()
		}
	}
	m.state = answer
	return at
}

// say is the state answer, from at to a marker that counts there.
func (m *tags) say(dst []reasoning.Segment, in *input, at int) ([]reasoning.Segment, int) {
	switch {
	case m.f.blocks:
		return m.sayUntilThought(dst, in, at)
	case m.part != wrapped:
		return in.emit(dst, reasoning.Content, at, in.len()), in.len()
	}
	p, whole := find(in, at, m.f.answer.close)
	dst = in.emit(dst, reasoning.Content, at, p)
	if whole {
		m.state, m.part = behind, unwrapped
		return dst, p + len(m.f.answer.close)
	}
	m.hold(in, m.f.answer.close, p)
	return dst, in.len()
}

// sayUntilThought emits content from at to behind the next opening tag.
func (m *tags) sayUntilThought(dst []reasoning.Segment, in *input, at int) ([]reasoning.Segment, int) {
	for p := at; ; p++ {
		p = in.next(p, m.first)
		if p == in.len() {
			return in.emit(dst, reasoning.Content, at, p), p
		}
		marker, whole := m.open(in, p)
		if marker == "" {
			continue
		}
		dst = in.emit(dst, reasoning.Content, at, p)
		if whole {
			return dst, p + len(marker)
		}
		m.hold(in, marker, p)
		return dst, in.len()
	}
}

// open is the opening tag at p, whole or as far as there is text, "" if there
// is none. A whole one opens the thought.
func (m *tags) open(in *input, p int) (marker string, whole bool) {
	for i, t := range m.tags {
		whole, part := in.match(t.open, p)
		if whole {
			m.state, m.line, m.closing = opening, line{}, m.tags[i:i+1]
			if m.f.label != "" {
				m.state = labelled
			}
			return t.open, true
		}
		if part {
			marker = t.open
		}
	}
	return marker, false
}

// closer is the closing tag at p likewise.
func (m *tags) closer(in *input, p int) (marker string, whole bool) {
	for _, t := range m.closing {
		whole, part := in.match(t.close, p)
		if whole {
			return t.close, true
		}
		if part {
			marker = t.close
		}
	}
	return marker, false
}

// hold keeps back all text from p on, the beginning of the marker.
func (m *tags) hold(in *input, marker string, p int) {
	m.held = marker[:in.len()-p]
}

// read follows the lines of the thought, which only tool markup asks for.
func (m *tags) read(in *input, from, to int) {
	if len(m.tools) > 0 {
		held, text := in.cut(from, to)
		m.line.read(held)
		m.line.read(text)
	}
}
