package toolcall

import "strings"

// header reads a call written as a name, a separator and arguments in JSON.
type header struct {
	before []string // literals that may stand before the name, such as a call's type; optional
	seps   []string // end the name; the first byte of the arguments may do so too
	noSep  bool     // … where this is set
	middle []string // literals that may stand between separator and arguments; optional
	closes []string // literals that may end the call; optional, white space before them
	name   func(string) string

	state headerState
	fn    string
	args  argsReader
}

type headerState uint8

const (
	headBefore headerState = iota
	headName
	headMiddle
	headArgs
	headClose
)

func (h *header) read(m *machine, final bool) progress {
	for {
		switch h.state {
		case headBefore:
			if !m.skipSpaces() {
				return more
			}
			if _, found := m.literal(final, h.before...); found == maybe {
				return more
			}
			h.state = headName
		case headName:
			if p := h.readName(m, final); p != done {
				return p
			}
			h.state = headMiddle
		case headMiddle:
			if !m.skipSpaces() {
				return more
			}
			if _, found := m.literal(final, h.middle...); found == maybe {
				return more
			} else if found == yes {
				continue
			}
			if b := m.rest()[0]; b != '{' && b != '"' {
				return broken
			}
			m.begin(h.fn)
			h.state = headArgs
		case headArgs:
			if p := h.args.read(m); p != done {
				return p
			}
			m.end()
			h.state = headClose
		case headClose:
			if !m.skipSpaces() {
				if final {
					return done
				}
				return more
			}
			if _, found := m.literal(final, h.closes...); found == maybe {
				return more
			}
			return done
		}
	}
}

func (h *header) readName(m *machine, final bool) progress {
	seps := h.seps
	if h.noSep {
		if i := strings.IndexByte(string(m.rest()[:min(len(m.rest()), maxName)]), '{'); i >= 0 && !hasAny(m.rest()[:i], h.seps) {
			return h.named(m, string(m.rest()[:i]), i)
		}
	}
	text, _, found := m.until(seps...)
	switch found {
	case maybe:
		return more
	case no:
		return broken
	}
	return h.named(m, text, 0)
}

func hasAny(data []byte, lits []string) bool {
	for _, s := range lits {
		if strings.Contains(string(data), s) {
			return true
		}
	}
	return false
}

func (h *header) named(m *machine, text string, n int) progress {
	m.take(n)
	text = strings.TrimSpace(text)
	if h.name != nil {
		text = h.name(text)
	}
	if text == "" || strings.ContainsAny(text, "<>\"{}[]()") {
		return broken
	}
	h.fn = text
	return done
}
