package prompt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A node is a JSON value that keeps its members' order, which reaches the
// prompt where a template prints tools or arguments.
type node struct {
	kind    kind
	text    string   // a string's value; a scalar's JSON
	members []member // an object's
	items   []*node  // an array's
}

type member struct {
	name  string
	value *node
}

type kind uint8

const (
	scalarNode kind = iota // number, true, false or null
	textNode
	objectNode
	arrayNode
)

// deepest is how far JSON may nest; the template library reads no more.
const deepest = 100

var errTooDeep = fmt.Errorf("nested more than %d deep", deepest)

func text(s string) *node                { return &node{kind: textNode, text: s} }
func scalar(json string) *node           { return &node{kind: scalarNode, text: json} }
func object(members ...member) *node     { return &node{kind: objectNode, members: members} }
func array(items ...*node) *node         { return &node{kind: arrayNode, items: items} }
func (n *node) isNull() bool             { return n == nil || n.kind == scalarNode && n.text == "null" }
func (n *node) isText() bool             { return n != nil && n.kind == textNode }
func (n *node) is(k kind) bool           { return n != nil && n.kind == k }
func (n *node) set(name string, v *node) { n.members = append(n.without(name), member{name, v}) }

func (n *node) hasText() bool { return n.isText() && n.text != "" }

func boolean(b bool) *node {
	if b {
		return scalar("true")
	}
	return scalar("false")
}

func orNull(n *node) *node {
	if n == nil {
		return scalar("null")
	}
	return n
}

// get is a member's value, of the last one where a name is repeated; nil
// where there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for i := len(n.members) - 1; i >= 0; i-- {
		if n.members[i].name == name {
			return n.members[i].value
		}
	}
	return nil
}

// replace changes a member in its place, or adds it.
func (n *node) replace(name string, value *node) {
	for i := len(n.members) - 1; i >= 0; i-- {
		if n.members[i].name == name {
			n.members[i].value = value
			return
		}
	}
	n.members = append(n.members, member{name, value})
}

// without is the members but those of a name.
func (n *node) without(name string) []member {
	var kept []member
	for _, m := range n.members {
		if m.name != name {
			kept = append(kept, m)
		}
	}
	return kept
}

// each calls f with every string inside n, names of members included, and puts
// what it returns in its place.
func (n *node) each(f func(string) string) {
	switch n.kind {
	case textNode:
		n.text = f(n.text)
	case arrayNode:
		for _, item := range n.items {
			item.each(f)
		}
	case objectNode:
		for i := range n.members {
			n.members[i].name = f(n.members[i].name)
			n.members[i].value.each(f)
		}
	}
}

// parse reads one JSON value.
func parse(data []byte) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	n, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return n, nil
}

func parseValue(d *json.Decoder, depth int) (*node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if depth == deepest {
			return nil, errTooDeep
		}
		if t == '{' {
			return parseObject(d, depth)
		}
		return parseArray(d, depth)
	case string:
		return text(t), nil
	case json.Number:
		return scalar(t.String()), nil
	case bool:
		return boolean(t), nil
	default:
		return scalar("null"), nil
	}
}

func parseObject(d *json.Decoder, depth int) (*node, error) {
	n := object()
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		value, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		n.members = append(n.members, member{name.(string), value}) // the decoder allows no other
	}
	_, err := d.Token()
	return n, err
}

func parseArray(d *json.Decoder, depth int) (*node, error) {
	n := array()
	for d.More() {
		item, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	_, err := d.Token()
	return n, err
}

// append writes n as JSON.
func (n *node) append(dst []byte) []byte {
	switch n.kind {
	case textNode:
		return appendText(dst, n.text)
	case arrayNode:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.append(dst)
		}
		return append(dst, ']')
	case objectNode:
		dst = append(dst, '{')
		for i, m := range n.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, m.name), ':')
			dst = m.value.append(dst)
		}
		return append(dst, '}')
	default:
		return append(dst, n.text...)
	}
}

// appendText writes a JSON string. Its text came through the decoder, which
// leaves nothing that is not UTF-8.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
