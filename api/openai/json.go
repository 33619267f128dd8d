package openai

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects of a body may nest.
const MaxDepth = 128

// parse checks that data is one JSON value (RFC 8259) within MaxDepth whose
// strings are valid Unicode and whose objects have no member twice (RFC 7493).
// What it returns can be taken apart without further checks.
func parse(data []byte) (value, error) {
	if !utf8.Valid(data) {
		return nil, &Error{Code: CodeInvalidJSON, Message: "the body is not valid UTF-8"}
	}
	s := scanner{data: data}
	s.space()
	start := s.pos
	if err := s.value(); err != nil {
		return nil, err
	}
	end := s.pos
	s.space()
	if s.pos != len(data) {
		return nil, s.fail("unexpected text after the value")
	}
	return value(data[start:end]), nil
}

// scanner walks over a body once. keys is a stack: the members seen so far of
// each object that is open.
type scanner struct {
	data  []byte
	pos   int
	depth int
	keys  [][]byte
}

func (s *scanner) fail(what string) error {
	return &Error{Code: CodeInvalidJSON, Message: fmt.Sprintf("the body is not valid JSON: %s at byte %d", what, s.pos)}
}

func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) && isSpace(s.data[s.pos]) {
		s.pos++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '{' || c == '[':
		if s.depth++; s.depth > MaxDepth {
			return s.fail(fmt.Sprintf("nested deeper than %d", MaxDepth))
		}
		defer func() { s.depth-- }()
		if c == '{' {
			return s.object()
		}
		return s.array()
	case c == '"':
		return s.str()
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case s.pos >= len(s.data):
		return s.fail("unexpected end")
	}
	return s.fail("unexpected character")
}

func (s *scanner) word(w string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(w)) {
		return s.fail("unexpected character")
	}
	s.pos += len(w)
	return nil
}

func (s *scanner) array() error {
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		s.space()
		if err := s.value(); err != nil {
			return err
		}
		if done, err := s.next(']'); done || err != nil {
			return err
		}
	}
}

// next consumes a comma or the closing bracket after a member.
func (s *scanner) next(closing byte) (done bool, err error) {
	s.space()
	switch s.peek() {
	case ',':
		s.pos++
		return false, nil
	case closing:
		s.pos++
		return true, nil
	}
	return false, s.fail("a comma or a closing bracket is missing")
}

// manyKeys is where looking for a duplicate changes from a scan to a map.
const manyKeys = 16

func (s *scanner) object() error {
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	base := len(s.keys)
	defer func() { s.keys = s.keys[:base] }()
	var seen map[string]struct{}
	for {
		s.space()
		if s.peek() != '"' {
			return s.fail("a member's name is missing")
		}
		start := s.pos
		if err := s.str(); err != nil {
			return err
		}
		var again bool
		if seen, again = s.remember(base, seen, value(s.data[start:s.pos])); again {
			return s.fail("an object has a member twice, the second ending")
		}
		s.space()
		if s.peek() != ':' {
			return s.fail("a colon is missing")
		}
		s.pos++
		s.space()
		if err := s.value(); err != nil {
			return err
		}
		if done, err := s.next('}'); done || err != nil {
			return err
		}
	}
}

// remember notes a member of the object whose keys begin at base and reports
// whether it was there before.
func (s *scanner) remember(base int, seen map[string]struct{}, name value) (map[string]struct{}, bool) {
	key := []byte(name[1 : len(name)-1])
	if bytes.IndexByte(key, '\\') >= 0 {
		key = []byte(name.text())
	}
	if seen == nil {
		for _, k := range s.keys[base:] {
			if bytes.Equal(k, key) {
				return nil, true
			}
		}
		s.keys = append(s.keys, key)
		if len(s.keys)-base < manyKeys {
			return nil, false
		}
		seen = make(map[string]struct{}, 2*manyKeys)
		for _, k := range s.keys[base:] {
			seen[string(k)] = struct{}{}
		}
		return seen, false
	}
	if _, ok := seen[string(key)]; ok {
		return seen, true
	}
	seen[string(key)] = struct{}{}
	return seen, false
}

func (s *scanner) str() error {
	s.pos++
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < 0x20:
			return s.fail("a control character in a string")
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		default:
			s.pos++
		}
	}
	return s.fail("a string does not end")
}

func (s *scanner) escape() error {
	s.pos++
	c := s.peek()
	if c != 'u' {
		if s.pos >= len(s.data) || bytes.IndexByte([]byte(`"\/bfnrt`), c) < 0 {
			return s.fail("an unknown escape")
		}
		s.pos++
		return nil
	}
	r, ok := s.hex()
	switch {
	case !ok:
		return s.fail(`a \u escape without four hex digits`)
	case r >= 0xDC00 && r <= 0xDFFF:
		return s.fail("half of a surrogate pair")
	case r >= 0xD800 && r <= 0xDBFF:
		if !bytes.HasPrefix(s.data[s.pos:], []byte(`\u`)) {
			return s.fail("half of a surrogate pair")
		}
		s.pos++
		if r, ok = s.hex(); !ok || r < 0xDC00 || r > 0xDFFF {
			return s.fail("half of a surrogate pair")
		}
	}
	return nil
}

// hex reads the u of an escape and the four digits after it.
func (s *scanner) hex() (r rune, ok bool) {
	s.pos++
	if s.pos+4 > len(s.data) {
		return 0, false
	}
	for _, c := range s.data[s.pos : s.pos+4] {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	s.pos += 4
	return r, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scanner) digits() bool {
	start := s.pos
	for isDigit(s.peek()) {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fail("a malformed number")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fail("a malformed number")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fail("a malformed number")
		}
	}
	return nil
}
