package reasoning

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"

	"github.com/reasond/reasond/api/reasoning"
)

// templated is the machine of all response templates. It looks for the
// delimiters that count where it is: within a field its closing one, outside
// every opening one and the implicit field's closing one. Of those that begin
// first the longest counts, an opening one before a closing one. It waits, and
// holds text back, only while one that has begun may still decide that.
//
// Outside, white space waits for what follows it: it goes with a delimiter.
type templated struct {
	t     *template
	tools bool
	field *field // nil: outside
	begun bool   // a delimiter has been read
	calls callScanner

	outside watchList // the delimiters that count outside
	inside  map[*field]*watchList
	watch   *watchList

	in      input
	off     int    // offset in the raw text of held
	held    string // text whose meaning is not known yet
	last    rune   // in front of held; -1 at the start
	scanned int    // offset up to which the searches have read
	idle    bool   // no delimiter has begun
	barred  int    // offset of the last empty delimiter, -1 if none
	opened  bool   // the prompt opened the field: "^" is behind us

	blank      bool // outside: nothing but white space so far
	space      []byte
	spaceStart int
}

// watchList are delimiters that count in one place.
type watchList struct {
	all   []watched
	first [256]bool // bytes that one of them may begin with
}

func (l *watchList) add(p *pattern, f *field, opens bool) {
	l.all = append(l.all, watched{newSearch(p), f, opens})
	for b, begins := range p.first {
		l.first[b] = l.first[b] || begins
	}
}

// watched is a delimiter that counts.
type watched struct {
	search *search
	field  *field
	opens  bool
}

func newTemplated(t *template, s reasoning.Start) *templated {
	m := &templated{t: t, tools: s.HasTools, last: -1, barred: -1, inside: map[*field]*watchList{}}
	for _, f := range t.fields {
		if f.open != nil {
			m.outside.add(f.open, f, true)
			m.inside[f] = &watchList{}
			if f.close != nil {
				m.inside[f].add(f.close, f, false)
			}
		}
	}
	if f := t.implicit; f != nil && f.close != nil {
		m.outside.add(f.close, f, false)
	}
	var start *field
	for _, f := range t.fields {
		if s.Open == reasoning.OpenYes && f.shown == fieldReasoning && f.open != nil {
			start, m.opened = f, true
		}
	}
	m.enter(start, 0)
	return m
}

// enter goes on in a field, or outside, from an offset.
func (m *templated) enter(f *field, at int) {
	m.field, m.scanned, m.idle = f, at, true
	m.watch, m.blank = &m.outside, f == nil
	if f != nil {
		m.watch = m.inside[f]
		m.calls = callScanner{format: f.call}
	}
	for _, w := range m.watch.all {
		w.search.reset()
	}
}

// Stage implements reasoning.Stager.
func (m *templated) Stage() reasoning.Stage {
	switch {
	case m.field == nil && !m.begun:
		return reasoning.Undecided
	case m.field != nil && m.field.shown == fieldReasoning:
		return reasoning.InReasoning
	case m.field != nil && (m.field.shown == fieldCalls || m.field.shown == fieldArguments):
		return reasoning.InCall
	}
	return reasoning.InAnswer
}

// Feed implements reasoning.Parser.
func (m *templated) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	if text == "" {
		return dst
	}
	m.in = input{held: m.held, text: text, off: m.off}
	return m.read(dst, false)
}

// Close implements reasoning.Parser.
func (m *templated) Close(dst []reasoning.Segment) []reasoning.Segment {
	m.in = input{held: m.held, off: m.off}
	dst = m.read(dst, true)
	if !m.begun && m.field == nil {
		dst = m.releaseSpace(dst, reasoning.Content)
	}
	return dst
}

// read scans the text that there is and emits what is decided.
func (m *templated) read(dst []reasoning.Segment, over bool) []reasoning.Segment {
	from := m.off // what is not emitted yet
	for {
		w, decided := m.scan(over)
		if !decided {
			break
		}
		dst = m.emit(dst, from, w.search.match.start)
		from = w.search.match.end
		dst = m.pass(dst, w)
	}
	keep := m.in.off + m.in.len()
	if !over {
		keep = min(keep, m.scanned)
		for _, w := range m.watch.all {
			if start, ok := w.search.pending(); ok {
				keep = min(keep, start)
			}
			if w.search.has {
				keep = min(keep, w.search.match.start)
			}
		}
	}
	dst = m.emit(dst, from, keep)
	from = max(from, keep)
	m.last = m.runeBefore(from)
	held, rest := m.in.cut(from-m.in.off, m.in.len())
	m.held, m.off = held+rest, from
	return dst
}

// scan reads on to the next delimiter that is decided.
func (m *templated) scan(over bool) (watched, bool) {
	for {
		if m.idle {
			m.skip()
		}
		p := m.scanned - m.in.off
		if p == m.in.len() {
			if over {
				m.settle(true, 0, 0)
			}
			return m.decided(over)
		}
		r, width, whole := m.runeAt(p)
		if !whole && !over {
			return m.decided(false)
		}
		m.settle(false, r, m.in.at(p))
		if w, ok := m.decided(false); ok {
			return w, true
		}
		m.scanned += width
		m.idle = true
		for _, w := range m.watch.all {
			w.search.step(r)
			if !w.search.p.looks && len(w.search.threads) > 0 {
				w.search.settle(place{at: m.scanned, barred: m.barred})
			}
			m.idle = m.idle && w.search.idle()
		}
		if w, ok := m.decided(false); ok {
			return w, true
		}
	}
}

// skip passes over text that no delimiter begins with.
func (m *templated) skip() {
	held, text := m.in.cut(m.scanned-m.in.off, m.in.len())
	for _, piece := range [2]string{held, text} {
		n := 0
		for n < len(piece) && !m.watch.first[piece[n]] {
			n++
		}
		m.scanned += n
		if n < len(piece) {
			return
		}
	}
}

// settle tells the searches of the place that they are at: the end of the text,
// or the rune and the byte that follow.
func (m *templated) settle(end bool, next rune, b byte) {
	at := place{at: m.scanned, barred: m.barred}
	if end {
		next = -1
	}
	flags, known := syntax.EmptyOp(0), false
	for _, w := range m.watch.all {
		if w.search.p.looks {
			if !known {
				flags, known = m.flags(next), true
			}
			at.flags = flags
			w.search.settle(at)
		}
		if end || w.search.p.first[b] {
			w.search.begin(at)
		}
		if end {
			w.search.threads = w.search.threads[:0]
		}
	}
}

// flags are what is so of the place at hand, in front of a rune or, -1, the end.
func (m *templated) flags(next rune) syntax.EmptyOp {
	before := m.runeBefore(m.scanned)
	flags := syntax.EmptyOpContext(ascii(before), ascii(next)) &^ (syntax.EmptyBeginText | syntax.EmptyEndText)
	if m.scanned == 0 && !m.opened {
		flags |= syntax.EmptyBeginText
	}
	if next < 0 {
		flags |= syntax.EmptyEndText
	}
	return flags
}

// ascii stands for a rune where only being part of a word counts.
func ascii(r rune) rune {
	if r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		return 'a'
	}
	return r
}

// decided is the delimiter that comes next, if that is known.
func (m *templated) decided(over bool) (watched, bool) {
	best := -1
	for i, w := range m.watch.all {
		if w.search.has && len(w.search.threads) == 0 && (best < 0 || m.watch.all[best].after(w)) {
			best = i
		}
	}
	if best < 0 {
		return watched{}, false
	}
	for _, w := range m.watch.all {
		if start, ok := w.search.pending(); ok && start <= m.watch.all[best].search.match.start {
			return watched{}, false
		}
	}
	if match := m.watch.all[best].search.match; !over && match.start == match.end && match.end == m.in.off+m.in.len() {
		return watched{}, false
	}
	return m.watch.all[best], true
}

// after says whether the other one's match is to be preferred.
func (w watched) after(other watched) bool {
	a, b := w.search.match, other.search.match
	switch {
	case a.start != b.start:
		return a.start > b.start
	case a.end != b.end:
		return a.end < b.end
	}
	return !w.opens && other.opens // fields are in the order of their names
}

// pass goes over a delimiter.
func (m *templated) pass(dst []reasoning.Segment, w watched) []reasoning.Segment {
	match := w.search.match
	m.begun = true
	m.space = m.space[:0]
	if match.start == match.end {
		m.barred = match.start
	}
	if w.field.shown == fieldMarkup && m.tools {
		dst = m.in.emit(dst, reasoning.Content, match.start-m.in.off, match.end-m.in.off)
	}
	if !w.opens {
		m.enter(nil, match.end)
		return dst
	}
	m.enter(w.field, match.end)
	if w.field.shown == fieldArguments && m.tools && match.name >= 0 && match.name < match.stop {
		dst = m.in.emit(dst, reasoning.ToolName, match.name-m.in.off, match.stop-m.in.off)
	}
	return dst
}

// emit appends text between two offsets as what it is where the machine is.
func (m *templated) emit(dst []reasoning.Segment, from, to int) []reasoning.Segment {
	if from >= to {
		return dst
	}
	from, to = from-m.in.off, to-m.in.off
	f := m.field
	if f == nil {
		return m.emitOutside(dst, from, to)
	}
	switch f.shown {
	case fieldReasoning:
		return m.in.emit(dst, reasoning.Reasoning, from, to)
	case fieldContent:
		return m.in.emit(dst, reasoning.Content, from, to)
	}
	if !m.tools {
		return dst
	}
	switch f.shown {
	case fieldArguments:
		return m.in.emit(dst, reasoning.ToolArguments, from, to)
	case fieldCalls:
		return m.calls.read(dst, &m.in, from, to)
	case fieldMarkup:
		return m.in.emit(dst, reasoning.Content, from, to)
	}
	return dst
}

// emitOutside appends text outside of all fields but the implicit one.
func (m *templated) emitOutside(dst []reasoning.Segment, from, to int) []reasoning.Segment {
	kind := reasoning.Content
	switch f := m.t.implicit; {
	case f != nil && f.shown == fieldReasoning:
		kind = reasoning.Reasoning
	case f != nil && f.shown != fieldContent, f == nil && m.t.content && m.begun:
		return dst
	}
	if m.blank {
		text := min(m.in.skipSpace(from), to)
		if len(m.space) == 0 {
			m.spaceStart = m.in.off + from
		}
		held, rest := m.in.cut(from, text)
		m.space = append(append(m.space, held...), rest...)
		if text == to {
			return dst
		}
		from, m.blank = text, false
		dst = m.releaseSpace(dst, kind)
	}
	return m.in.emit(dst, kind, from, to)
}

// releaseSpace appends the white space held back.
func (m *templated) releaseSpace(dst []reasoning.Segment, kind reasoning.Kind) []reasoning.Segment {
	if len(m.space) == 0 {
		return dst
	}
	text := string(m.space)
	m.space = m.space[:0]
	return append(dst, reasoning.Segment{
		Kind: kind, Start: m.spaceStart, End: m.spaceStart + len(text), Text: text,
	})
}

// runeAt is the rune at a position; whole is false where its end is still to come.
func (m *templated) runeAt(p int) (r rune, width int, whole bool) {
	if b := m.in.at(p); b < utf8.RuneSelf {
		return rune(b), 1, true
	}
	var bytes [utf8.UTFMax]byte
	n := 0
	for ; n < len(bytes) && p+n < m.in.len(); n++ {
		bytes[n] = m.in.at(p + n)
	}
	r, width = utf8.DecodeRune(bytes[:n])
	return r, width, utf8.FullRune(bytes[:n])
}

// runeBefore is the rune in front of an offset, -1 at the start.
func (m *templated) runeBefore(offset int) rune {
	p := offset - m.in.off
	if p == 0 {
		return m.last
	}
	from := max(p-utf8.UTFMax, 0)
	held, text := m.in.cut(from, p)
	r, _ := utf8.DecodeLastRuneInString(held + text)
	return r
}
