package toolcall

import (
	"encoding/json"
	"strings"
)

// argsReader streams a call's arguments, a JSON value, as they come. Line ends
// within strings, which models do write, are escaped: the rest is passed on as
// it stands. A JSON string is arguments in quotes: they are emitted whole.
type argsReader struct {
	scan   jsonScan
	begun  bool
	quoted bool
	text   []byte // of quoted arguments
}

// read takes as much of the rest as belongs to the arguments. done: they are
// whole.
func (a *argsReader) read(m *machine) progress {
	var b strings.Builder
	defer func() { m.args(b.String()) }()
	rest := m.rest()
	for i, c := range rest {
		if !a.begun {
			if isSpace(c) {
				continue
			}
			a.begun, a.quoted = true, c == '"'
		}
		inside := a.scan.inString()
		v := a.scan.next(c)
		if v == breaks || v == endsOut {
			m.take(i)
			if v == endsOut {
				return done
			}
			return broken
		}
		switch {
		case a.quoted:
			a.text = append(a.text, escaped(c, inside)...)
		default:
			b.WriteString(escaped(c, inside))
		}
		if v == endsIn {
			m.take(i + 1)
			if a.quoted {
				b.WriteString(unquoted(a.text))
			}
			return done
		}
	}
	m.take(len(rest))
	return more
}

// escaped is a byte of JSON, repaired where it may not stand in a string.
func escaped(c byte, inString bool) string {
	if inString && c < ' ' {
		return escape(string(rune(c)))
	}
	return string([]byte{c})
}

// unquoted is the JSON object in a JSON string; anything else stays as it is.
func unquoted(text []byte) string {
	var s string
	if json.Unmarshal(text, &s) == nil && strings.HasPrefix(strings.TrimSpace(s), "{") && validJSON(s) {
		return s
	}
	return string(text)
}
