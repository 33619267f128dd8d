package toolcall

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// jsonScan reads one JSON value (RFC 8259) byte by byte. White space before the
// value is part of it.
type jsonScan struct {
	state jsonState
	stack []byte // open '{' and '['
	word  string // what is left of true, false or null
	hex   int    // digits left of \uXXXX
	num   byte   // last significant byte of a number
}

type jsonState uint8

const (
	jsonValue jsonState = iota
	jsonFirstKey
	jsonKey
	jsonColon
	jsonFirstItem
	jsonAfter
	jsonString
	jsonEscape
	jsonHex
	jsonNumber
	jsonWord
	jsonDone
)

// verdict is what a byte did to a value.
type verdict uint8

const (
	goesOn  verdict = iota
	endsIn          // the byte is the value's last
	endsOut         // the value ended before the byte (a number)
	breaks          // this is no JSON
)

const maxJSONDepth = 128

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// next takes a byte.
func (s *jsonScan) next(b byte) verdict {
	switch s.state {
	case jsonString:
		switch {
		case b == '"':
			return s.ended()
		case b == '\\':
			s.state = jsonEscape
		case b < ' ' && b != '\n' && b != '\t' && b != '\r': // models do write raw line ends: repaired when emitted
			return breaks
		}
		return goesOn
	case jsonEscape:
		switch b {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			s.state = jsonString
		case 'u':
			s.state, s.hex = jsonHex, 4
		default:
			return breaks
		}
		return goesOn
	case jsonHex:
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(b)) {
			return breaks
		}
		if s.hex--; s.hex == 0 {
			s.state = jsonString
		}
		return goesOn
	case jsonNumber:
		if ok := s.number(b); ok {
			return goesOn
		}
		if s.num < '0' || s.num > '9' {
			return breaks
		}
		if s.ended() == endsIn {
			return endsOut
		}
		return s.next(b)
	case jsonWord:
		if b != s.word[0] {
			return breaks
		}
		if s.word = s.word[1:]; s.word == "" {
			return s.ended()
		}
		return goesOn
	}
	if isSpace(b) {
		return goesOn
	}
	return s.structure(b)
}

// structure takes a byte between strings, numbers and words.
func (s *jsonScan) structure(b byte) verdict {
	top := byte(0)
	if len(s.stack) > 0 {
		top = s.stack[len(s.stack)-1]
	}
	switch {
	case b == '"' && (s.state == jsonFirstKey || s.state == jsonKey):
		s.push('k') // a key: behind its string comes a colon
		s.state = jsonString
	case s.state == jsonColon && b == ':':
		s.state = jsonValue
	case s.state == jsonAfter && b == ',' && top == '{':
		s.state = jsonKey
	case s.state == jsonAfter && b == ',' && top == '[':
		s.state = jsonValue
	case b == '}' && top == '{' && (s.state == jsonAfter || s.state == jsonFirstKey),
		b == ']' && top == '[' && (s.state == jsonAfter || s.state == jsonFirstItem):
		s.stack = s.stack[:len(s.stack)-1]
		return s.ended()
	case s.state == jsonValue || s.state == jsonFirstItem:
		return s.begin(b)
	default:
		return breaks
	}
	return goesOn
}

func (s *jsonScan) begin(b byte) verdict {
	switch {
	case len(s.stack) > maxJSONDepth:
		return breaks
	case b == '{':
		s.push('{')
		s.state = jsonFirstKey
	case b == '[':
		s.push('[')
		s.state = jsonFirstItem
	case b == '"':
		s.state = jsonString
	case b == '-' || b >= '0' && b <= '9':
		s.state, s.num = jsonNumber, b
	case b == 't':
		s.state, s.word = jsonWord, "rue"
	case b == 'f':
		s.state, s.word = jsonWord, "alse"
	case b == 'n':
		s.state, s.word = jsonWord, "ull"
	default:
		return breaks
	}
	return goesOn
}

func (s *jsonScan) push(b byte) { s.stack = append(s.stack, b) }

// number takes a number's byte; it is a little laxer than JSON about where dots
// and exponents stand.
func (s *jsonScan) number(b byte) bool {
	switch {
	case b >= '0' && b <= '9':
	case (b == '.' || b == 'e' || b == 'E') && s.num >= '0' && s.num <= '9':
	case (b == '+' || b == '-') && (s.num == 'e' || s.num == 'E'):
	default:
		return false
	}
	s.num = b
	return true
}

// ended closes a string, number, word, object or array.
func (s *jsonScan) ended() verdict {
	n := len(s.stack)
	if n > 0 && s.stack[n-1] == 'k' {
		s.stack = s.stack[:n-1]
		s.state = jsonColon
		return goesOn
	}
	if n == 0 {
		s.state = jsonDone
		return endsIn
	}
	s.state = jsonAfter
	return goesOn
}

// inString reports whether the next byte is a string's.
func (s *jsonScan) inString() bool { return s.state == jsonString }

// escape is the inside of a JSON string. Bytes that are no UTF-8 are kept: the
// text arrives in pieces, whole characters each.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\r':
			b.WriteString(`\r`)
		case c < ' ' || c == 0x7f:
			b.WriteString(`\u00`)
			b.WriteByte("0123456789abcdef"[c>>4])
			b.WriteByte("0123456789abcdef"[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// validJSON reports whether text is one JSON value in valid UTF-8.
func validJSON(text string) bool { return utf8.ValidString(text) && json.Valid([]byte(text)) }
