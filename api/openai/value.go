package openai

import (
	"bytes"
	"encoding/json"
)

// value is the text of one JSON value that parse has accepted, without space
// around it.
type value json.RawMessage

// kind names the value's type as error messages do.
func (v value) kind() string {
	switch v[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

func (v value) null() bool { return v[0] == 'n' }

// text is a string's value.
func (v value) text() string {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var s string
	// parse has seen to everything that Unmarshal could refuse or repair.
	_ = json.Unmarshal(v, &s)
	return s
}

// members calls fn for each member of an object, in order, until it fails.
func (v value) members(fn func(name string, v value) error) error {
	for rest := v.inside(); len(rest) > 0; {
		var name, member value
		name, rest = cut(rest)
		member, rest = cut(rest)
		if err := fn(name.text(), member); err != nil {
			return err
		}
	}
	return nil
}

// items calls fn for each element of an array, in order, until it fails.
func (v value) items(fn func(i int, v value) error) error {
	i := 0
	for rest := v.inside(); len(rest) > 0; i++ {
		var item value
		item, rest = cut(rest)
		if err := fn(i, item); err != nil {
			return err
		}
	}
	return nil
}

// inside is what stands between the brackets of an object or array, without
// space around it.
func (v value) inside() []byte { return bytes.Trim(v[1:len(v)-1], " \n\t\r") }

// cut splits the first value off a list of values and drops the comma or colon
// behind it.
func cut(list []byte) (first value, rest []byte) {
	end := length(list)
	rest = bytes.TrimLeft(list[end:], " \n\t\r")
	if len(rest) > 0 {
		rest = bytes.TrimLeft(rest[1:], " \n\t\r")
	}
	return value(list[:end]), rest
}

// length is the length of the valid value that data begins with.
func length(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			for i < len(data) && bytes.IndexByte([]byte(",:]} \n\t\r"), data[i]) < 0 {
				i++
			}
			return i
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(data)
}
