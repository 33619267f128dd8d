package toolcall

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/reasond/reasond/internal/lark"
)

// deepestNested is how deep a grammar's tags nest; what lies deeper is JSON.
const deepestNested = 8

// grammar writes one block of calls. Values that tags cannot hold to their schema,
// or would not tell apart, are JSON within their tag, which the reader takes too.
func (k *nested) grammar(functions []Function, w writing) (string, error) {
	var b strings.Builder
	var names []string
	for i, f := range functions {
		name := fmt.Sprintf("call%d", i)
		names = append(names, name)
		g := nestedGrammar{nested: k, Grammar: lark.NewNamed(w.Writing, name), root: lark.Parameters(f)}
		members, err := g.members(g.root, 0)
		if err == nil {
			err = bareName(f.Name)
		}
		if err != nil {
			return "", fmt.Errorf("function %.60q: %w", f.Name, err)
		}
		fmt.Fprintf(&b, "%s: %s %s %s\n%s", name, g.Marks(k.mark, "<"+k.call+` name="`+f.Name+`">`), members, g.Marks(k.mark, "</"+k.call+">"), g.Rules())
	}
	g := lark.New(w.Writing)
	calls, blocks := `call ("\n" call)*`, "block"
	switch {
	case w.One:
		calls = "call"
	case w.opener != "": // takes what stands before it
		blocks = "block+"
	}
	return fmt.Sprintf("start: %s\nblock: %s %s %s %s\ncall: %s\n%s%s", blocks, w.text(k.mark), g.Marks("<"+k.block+">", "\n"), calls,
		g.Marks("\n", k.mark, "</"+k.block+">"), strings.Join(names, " | "), b.String(), textRule), nil
}

// nestedGrammar writes the values of one function's parameters.
type nestedGrammar struct {
	*nested
	*lark.Grammar
	root json.RawMessage // has the definitions
}

// members are an object's members in the order of its schema.
func (g *nestedGrammar) members(schema json.RawMessage, depth int) (string, error) {
	all, err := lark.Properties(schema)
	if err != nil || len(all) == 0 {
		return `""`, err
	}
	var parts []string
	for _, p := range all {
		tagged, err := g.tagged(p.Name, p.Schema, depth)
		if err != nil {
			return "", fmt.Errorf("parameter %.60q: %w", p.Name, err)
		}
		if !p.Required {
			tagged += "?"
		}
		parts = append(parts, tagged)
	}
	return strings.Join(parts, " "), nil
}

// tagged is a value between its tags.
func (g *nestedGrammar) tagged(name string, schema json.RawMessage, depth int) (string, error) {
	if err := bareName(name); err != nil || name[0] == '/' {
		return "", fmt.Errorf("the name %.60q is no tag's", name)
	}
	open, end := g.Marks(g.mark, "<"+name+">"), []string{g.mark, "</" + name + ">"}
	s := newShape(schema, g.root)
	if s.kind == textShape {
		text, err := g.text(schema, end)
		return g.Rule(open + " " + text), err
	}
	value, err := g.value(s, depth)
	if err != nil {
		value, err = lark.JSON(schema, g.root, lark.Spaced)
	}
	return g.Rule(open + " " + value + " " + g.Marks(end...)), err
}

// text is a string as it is, with the tag that ends it.
func (g *nestedGrammar) text(schema json.RawMessage, end []string) (string, error) {
	values, free, err := stringsOf(schema, g.root)
	if err != nil {
		return "", err
	}
	var alternatives []string
	for _, v := range values {
		if strings.Contains(v, g.mark) {
			return "", fmt.Errorf("the value %.40q holds %s", v, g.mark)
		}
		alternatives = append(alternatives, g.Marks(append([]string{v}, end...)...))
	}
	for _, schema := range free {
		text, err := g.String(schema, end)
		if err != nil {
			return "", err
		}
		alternatives = append(alternatives, text)
	}
	return lark.Any(alternatives), nil
}

// errOneText is what a value is that has no tags within its own.
var errOneText = errors.New("one text")

// value is a list or an object as tags.
func (g *nestedGrammar) value(s *shape, depth int) (string, error) {
	switch {
	case s.kind != listShape && s.kind != objectShape:
		return "", errOneText
	case depth == deepestNested:
		return "", errors.New("too deep")
	}
	var alternatives []string
	for _, b := range s.branches {
		var tags string
		var err error
		switch {
		case b.Type == "null":
			continue
		case b.Values != nil:
			return "", errors.New("listed values")
		case s.kind == listShape:
			tags, err = g.list(b.Schema, depth)
		default:
			tags, err = g.object(b.Schema, depth)
		}
		if err != nil {
			return "", err
		}
		alternatives = append(alternatives, tags)
	}
	return lark.Any(alternatives), nil
}

func (g *nestedGrammar) list(schema json.RawMessage, depth int) (string, error) {
	l, err := lark.ListOf(schema)
	if err != nil {
		return "", err
	}
	item, err := g.tagged(g.item, l.Items, depth+1)
	switch {
	case l.Max == 0:
		return `""`, err
	case l.Max > 0:
		return fmt.Sprintf("%s{%d,%d}", item, l.Min, l.Max), err
	}
	return fmt.Sprintf("%s{%d,}", item, l.Min), err
}

func (g *nestedGrammar) object(schema json.RawMessage, depth int) (string, error) {
	if err := lark.Held(schema); err != nil {
		return "", err
	}
	var object struct {
		Properties json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &object) != nil || object.Properties == nil {
		return "", errors.New("an object of any members") // whose closing tags no grammar finds
	}
	return g.members(schema, depth+1)
}
