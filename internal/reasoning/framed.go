package reasoning

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// framed is the machine of all framings.
//
// In a frame, text is emitted as it comes, but for the beginning of a marker.
// Between frames, white space waits for what follows it: before a marker it is
// dropped, before text it is content. A header is kept until it ends; one that
// cannot be a header after all (maxHeader) is released as content. At the end
// of the answer, white space that follows a frame and a header that was cut
// off are dropped: both are markup.
//
// Time is linear in the text, for each byte is looked at once for each marker
// that could begin there, and nothing is allocated but for headers.
type framed struct {
	f     *framing
	tools bool
	frame frame
	marks []mark // that the frame looks for
	first string // the bytes that they begin with
	any   bool   // a marker has been read
	calls callScanner

	off  int    // offset in the raw text of held
	held string // the beginning of a marker, held back

	space      []byte // between: white space that is held back
	spaceStart int    // its offset

	inHeader  bool
	head      []byte // the header, the marker that began it included
	headStart int    // its offset
	opener    int    // length of that marker
	textFrom  int    // what of head would be content if it were no header
	soft      bool   // it may be content altogether

	feed bool // a line break here belongs to the marker before it
}

func newFramed(f *framing, s reasoning.Start) *framed {
	m := &framed{f: f, tools: s.HasTools}
	start := f.first
	if s.Open == reasoning.OpenYes || s.Open == reasoning.OpenUnknown && f.thinks != nil && f.thinks(s) {
		start = f.open
	}
	m.enter(start)
	return m
}

// Stage implements reasoning.Stager.
func (m *framed) Stage() reasoning.Stage {
	switch {
	case m.inHeader || m.frame.kind == inBetween || m.frame.kind == inDropped:
		return reasoning.Undecided
	case m.frame.kind == inReasoning:
		return reasoning.InReasoning
	case m.frame.kind == inArguments || m.frame.kind == inCalls:
		return reasoning.InCall
	}
	return reasoning.InAnswer
}

// Feed implements reasoning.Parser.
func (m *framed) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	if text == "" {
		return dst
	}
	in := input{held: m.held, text: text, off: m.off}
	m.held = ""
	for p := 0; p < in.len(); {
		if m.feed {
			if m.feed = false; in.at(p) == '\n' {
				p++
				continue
			}
		}
		switch {
		case m.inHeader:
			dst, p = m.readHeader(dst, &in, p)
		case m.frame.kind == inBetween:
			dst, p = m.readBetween(dst, &in, p)
		default:
			dst, p = m.readFrame(dst, &in, p)
		}
	}
	m.off += in.len() - len(m.held)
	return dst
}

// Close implements reasoning.Parser.
func (m *framed) Close(dst []reasoning.Segment) []reasoning.Segment {
	in := input{held: m.held, off: m.off}
	m.held = ""
	switch {
	case m.inHeader && m.soft:
		dst = m.release(dst)
		return in.emit(dst, reasoning.Content, 0, in.len())
	case m.inHeader:
		return dst
	case m.frame.kind != inBetween:
		return m.emit(dst, &in, 0, in.len())
	case in.len() > 0 || !m.any:
		dst = m.releaseSpace(dst)
	}
	return in.emit(dst, reasoning.Content, 0, in.len())
}

// enter begins a frame.
func (m *framed) enter(f frame) {
	if f.kind != inSame {
		if f.tool && !m.tools {
			f.kind = inDropped
		}
		m.frame = f
		m.calls = callScanner{format: f.call}
	}
	switch {
	case m.frame.marks != nil:
		m.watch(m.frame.marks)
	case m.frame.kind == inBetween:
		m.watch(m.f.between)
	default:
		m.watch(m.f.body)
	}
}

// watch sets the markers that are looked for.
func (m *framed) watch(marks []mark) {
	m.marks = marks
	m.first = firsts(marks)
}

// firsts are the bytes that markers begin with: one for nearly all sets.
func firsts(marks []mark) string {
	set := ""
	for i := range marks {
		switch first := marks[i].text[:1]; {
		case set == "":
			set = first
		case !strings.Contains(set, first):
			set += first
		}
	}
	return set
}

// match is the marker at p. Where only its beginning is there yet, it is held.
func (m *framed) match(in *input, p int) (found *mark, held bool) {
	for i := range m.marks {
		whole, part := in.match(m.marks[i].text, p)
		if whole {
			return &m.marks[i], false
		}
		if part {
			m.held = m.marks[i].text[:in.len()-p]
			return nil, true
		}
	}
	return nil, false
}

// readFrame emits a frame's text, from p to behind the marker that ends it.
func (m *framed) readFrame(dst []reasoning.Segment, in *input, p int) ([]reasoning.Segment, int) {
	for q := p; ; q++ {
		q = in.next(q, m.first)
		if q == in.len() {
			return m.emit(dst, in, p, q), q
		}
		switch found, held := m.match(in, q); {
		case held:
			return m.emit(dst, in, p, q), in.len()
		case found != nil:
			dst = m.emit(dst, in, p, q)
			return m.apply(dst, in, q, found), q + len(found.text) - found.peek
		}
	}
}

// emit appends a frame's text.
func (m *framed) emit(dst []reasoning.Segment, in *input, from, to int) []reasoning.Segment {
	switch m.frame.kind {
	case inReasoning:
		return in.emit(dst, reasoning.Reasoning, from, to)
	case inContent, inBetween:
		return in.emit(dst, reasoning.Content, from, to)
	case inArguments:
		return in.emit(dst, reasoning.ToolArguments, from, to)
	case inCalls:
		return m.calls.read(dst, in, from, to)
	}
	return dst
}

// apply does what a marker at q says.
func (m *framed) apply(dst []reasoning.Segment, in *input, q int, k *mark) []reasoning.Segment {
	m.any, m.feed = true, k.feed
	if k.does != maybe {
		m.space = m.space[:0]
	}
	switch k.does {
	case enter:
		m.inHeader = false
		m.enter(k.frame)
	case begin, maybe:
		m.beginHeader(in.off+q, k.text)
		m.soft = k.does == maybe
		if m.soft {
			m.textFrom = 0
		}
	case extend:
		m.head = append(m.head, k.text...)
		m.textFrom, m.soft = len(m.head), false
	case end:
		dst = m.endHeader(dst)
	}
	return dst
}

func (m *framed) beginHeader(at int, opener string) {
	m.inHeader = true
	m.head = append(m.head[:0], opener...)
	m.headStart, m.opener, m.textFrom, m.soft = at, len(opener), len(opener), false
	m.watch(m.f.header)
}

// endHeader enters the frame that a header leads to, and names its tool.
func (m *framed) endHeader(dst []reasoning.Segment) []reasoning.Segment {
	h := header{}
	if m.inHeader {
		h = header{text: string(m.head), opener: m.opener}
	}
	f := m.f.head(h)
	m.inHeader = false
	m.enter(f)
	if from, to := f.name[0], f.name[1]; from < to && m.tools {
		start := m.headStart
		dst = append(dst, reasoning.Segment{
			Kind: reasoning.ToolName, Start: start + from, End: start + to, Text: h.text[from:to],
		})
	}
	return dst
}

// readHeader keeps a header, from p to behind its next marker.
func (m *framed) readHeader(dst []reasoning.Segment, in *input, p int) ([]reasoning.Segment, int) {
	for q := p; q < in.len(); q++ {
		found, held := m.match(in, q)
		if held {
			return dst, in.len()
		}
		if found != nil {
			return m.apply(dst, in, q, found), q + len(found.text) - found.peek
		}
		c := in.at(q)
		if c == '\n' || len(m.head)-m.textFrom >= maxHeader || m.soft && !nameByte(c, m.f.echo) {
			return m.release(dst), q
		}
		m.head = append(m.head, c)
	}
	return dst, in.len()
}

// release makes content of what looked like a header.
func (m *framed) release(dst []reasoning.Segment) []reasoning.Segment {
	if m.soft {
		dst = m.releaseSpace(dst)
	}
	if text := string(m.head[m.textFrom:]); text != "" {
		start := m.headStart + m.textFrom
		dst = append(dst, reasoning.Segment{Kind: reasoning.Content, Start: start, End: start + len(text), Text: text})
	}
	m.inHeader = false
	m.enter(m.f.text)
	return dst
}

// at is the byte at a position.
func (in *input) at(p int) byte {
	if p < len(in.held) {
		return in.held[p]
	}
	return in.text[p-len(in.held)]
}

// nameByte says whether a byte may stand in a header that may be text: a name
// alone, or names, "=" and spaces.
func nameByte(c byte, alone bool) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.', c == ':':
		return true
	}
	return !alone && (c == ' ' || c == '=')
}

// readBetween passes from p over white space to a marker or to text.
func (m *framed) readBetween(dst []reasoning.Segment, in *input, p int) ([]reasoning.Segment, int) {
	q := in.skipSpace(p)
	if q > p {
		if len(m.space) == 0 {
			m.spaceStart = in.off + p
		}
		held, text := in.cut(p, q)
		m.space = append(append(m.space, held...), text...)
	}
	if q == in.len() {
		return dst, q
	}
	found, held := m.match(in, q)
	switch {
	case held:
		return dst, in.len()
	case found != nil:
		return m.apply(dst, in, q, found), q + len(found.text) - found.peek
	case m.f.echo && nameByte(in.at(q), true):
		m.beginHeader(in.off+q, "")
		m.soft = true
		return dst, q
	}
	m.enter(m.f.text)
	return m.releaseSpace(dst), q
}

// releaseSpace makes content of white space between frames.
func (m *framed) releaseSpace(dst []reasoning.Segment) []reasoning.Segment {
	if len(m.space) == 0 {
		return dst
	}
	text := string(m.space)
	m.space = m.space[:0]
	return append(dst, reasoning.Segment{
		Kind: reasoning.Content, Start: m.spaceStart, End: m.spaceStart + len(text), Text: text,
	})
}
