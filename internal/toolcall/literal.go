package toolcall

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// literal makes JSON of a value written as JSON or as a Python literal: None,
// True, single quotes, tuples. Nothing is evaluated; ok is false for anything
// else.
func literal(text string) (value string, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || !utf8.ValidString(text) {
		return "", false
	}
	if validJSON(text) {
		return text, true
	}
	p := &literals{text: text}
	p.value(0)
	p.spaces()
	if p.bad || p.at != len(text) {
		return "", false
	}
	return p.out.String(), true
}

// literals writes JSON while it reads Python literals (The Python Language
// Reference, 2.4 and 6.2).
type literals struct {
	text string
	at   int
	out  strings.Builder
	bad  bool
}

func (p *literals) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *literals) spaces() {
	for p.at < len(p.text) && isSpace(p.text[p.at]) {
		p.at++
	}
}

// has takes a byte if it comes next, white space aside.
func (p *literals) has(b byte) bool {
	p.spaces()
	if p.peek() != b {
		return false
	}
	p.at++
	return true
}

func (p *literals) value(depth int) {
	p.spaces()
	switch b := p.peek(); {
	case depth > maxJSONDepth:
		p.bad = true
	case b == '"' || b == '\'':
		p.string()
	case b == '[':
		p.list(']', depth)
	case b == '(':
		p.list(')', depth)
	case b == '{':
		p.dict(depth)
	case b == '-' || b == '+' || b == '.' || b >= '0' && b <= '9':
		p.number()
	default:
		p.word()
	}
}

func (p *literals) list(end byte, depth int) {
	p.at++
	p.out.WriteByte('[')
	for n := 0; !p.bad && !p.has(end); n++ {
		if n > 0 {
			if !p.has(',') {
				p.bad = true
				return
			}
			if p.has(end) {
				break
			}
			p.out.WriteString(", ")
		}
		p.value(depth + 1)
	}
	p.out.WriteByte(']')
}

func (p *literals) dict(depth int) {
	p.at++
	p.out.WriteByte('{')
	for n := 0; !p.bad && !p.has('}'); n++ {
		if n > 0 {
			if !p.has(',') {
				p.bad = true
				return
			}
			if p.has('}') {
				break
			}
			p.out.WriteString(", ")
		}
		p.spaces()
		if b := p.peek(); b != '"' && b != '\'' {
			p.bad = true
			return
		}
		p.string()
		if !p.has(':') {
			p.bad = true
			return
		}
		p.out.WriteString(": ")
		p.value(depth + 1)
	}
	p.out.WriteByte('}')
}

func (p *literals) number() {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.eE_0123456789", p.text[p.at]) >= 0 {
		p.at++
	}
	digits := strings.ReplaceAll(p.text[start:p.at], "_", "")
	if n := strings.TrimPrefix(digits, "+"); validJSON(n) {
		p.out.WriteString(n)
		return
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		p.bad = true
		return
	}
	p.out.WriteString(strconv.FormatFloat(f, 'g', -1, 64))
}

func (p *literals) word() {
	start := p.at
	for p.at < len(p.text) && (p.text[p.at]|0x20 >= 'a' && p.text[p.at]|0x20 <= 'z') {
		p.at++
	}
	switch p.text[start:p.at] {
	case "True", "true":
		p.out.WriteString("true")
	case "False", "false":
		p.out.WriteString("false")
	case "None", "null":
		p.out.WriteString("null")
	default:
		p.bad = true
	}
}

// string reads a quoted string with Python's escapes.
func (p *literals) string() {
	quoteMark := p.peek()
	p.at++
	var s strings.Builder
	for p.at < len(p.text) {
		b := p.text[p.at]
		p.at++
		switch {
		case b == quoteMark:
			p.out.WriteString(quote(s.String()))
			return
		case b == '\\':
			p.escape(&s)
		default:
			s.WriteByte(b)
		}
	}
	p.bad = true
}

func (p *literals) escape(s *strings.Builder) {
	b := p.peek()
	p.at++
	plain := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', 'a': '\a', 'v': '\v', '0': 0, '\\': '\\', '\'': '\'', '"': '"', '/': '/'}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}
	switch c, known := plain[b]; {
	case known:
		s.WriteByte(c)
	case b == '\n': // a continued line
	case digits[b] > 0:
		n := digits[b]
		if p.at+n > len(p.text) {
			p.bad = true
			return
		}
		r, err := strconv.ParseUint(p.text[p.at:p.at+n], 16, 32)
		p.at += n
		if err == nil && r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(p.text[p.at:], `\u`) && p.at+6 <= len(p.text) {
			if low, err := strconv.ParseUint(p.text[p.at+2:p.at+6], 16, 32); err == nil && low >= 0xdc00 && low < 0xe000 {
				r, p.at = 0x10000+(r-0xd800)<<10+(low-0xdc00), p.at+6
			}
		}
		if err != nil || r > utf8.MaxRune {
			p.bad = true
			return
		}
		s.WriteRune(rune(r))
	default: // Python keeps the backslash of an escape that it does not know
		s.WriteByte('\\')
		if b != 0 {
			s.WriteByte(b)
		}
	}
}
