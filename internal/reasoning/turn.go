package reasoning

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark"
)

// turn is how a framing's model writes an answer: frames, one behind the other,
// as its chat template would. It is what the grammars of answers with calls are
// made of; the machine, which has to make sense of what models write otherwise
// too, does not know it. Each list is markers and texts in a row.
type turn struct {
	// next stands behind a frame that another follows.
	next    []string
	mayNext bool // … or does not
	// thought and say are a thought and the beginnings of content, with what ends
	// them. A say without a beginning is content outside of all frames.
	thought span
	says    []span
	// inside ends a content that the prompt has opened; none: it never does so.
	inside []string
	// begin, between and end stand around calls, call is one of them, the n-th of
	// the answer. one: an answer has one call at most.
	// opens is the marker that tells calls from text; "": there is none.
	opens               string
	begin, between, end []string
	call                func(g *lark.Grammar, f reasoning.Function, n int) (string, error)
	counted             bool // calls have numbers
	one                 bool
}

// span is what stands around a text.
type span struct{ open, close []string }

// mostCalls is how many calls an answer may have where they are numbered.
const mostCalls = 16

// grammar is Descriptor.Grammar:
//
//	start: (thought next)* calls
//
// or where the writing is free
//
//	start: (thought next | say close next)* (say close? | calls)
func (t *turn) grammar(functions []reasoning.Function, w reasoning.Writing) (string, error) {
	if w.Free && t.opens == "" {
		return "", errors.New("they cannot be told from text")
	}
	g := lark.New(w)
	calls, err := t.calls(g, functions, w)
	if err != nil {
		return "", err
	}
	markers := t.markers()
	next := g.Marks(t.next...)
	if t.mayNext && next != "" {
		next = "(" + next + ")?"
	}
	thought := g.Rule(join(g.Marks(t.thought.open...), g.Until(t.thought.close, markers...), next))
	before := []string{thought}
	last := []string{calls}
	for _, s := range t.says {
		if !w.Free {
			break
		}
		if len(s.open) == 0 { // text outside of frames
			last = append(last, join(g.Text(markers...), "("+calls+")?"))
			continue
		}
		if closed := g.Marks(s.close...); closed != "" {
			before = append(before, g.Rule(join(g.Marks(s.open...), g.Until(s.close, markers...), next)))
			last = append(last, join(g.Marks(s.open...), g.Until(s.close, markers...)))
		}
		last = append(last, join(g.Marks(s.open...), g.Text(markers...)))
	}
	frames := join(g.Rule(lark.Any(before))+"*", lark.Any(last))
	if len(t.inside) == 0 {
		return g.Source(frames), nil
	}
	inside := join(g.Marks(t.inside...), next)
	if w.Free {
		text := g.Text(markers...)
		return g.Source(fmt.Sprintf("(%s %s)? %s | %s", text, inside, frames, text)), nil
	}
	return g.Source(join("("+inside+")?", frames)), nil
}

// calls are one call of the functions, or several.
func (t *turn) calls(g *lark.Grammar, functions []reasoning.Function, w reasoning.Writing) (string, error) {
	one := w.One || t.one || slices.ContainsFunc(t.between, func(s string) bool { return w.Ends != nil && w.Ends(s) })
	count := 1
	if t.counted && !one {
		count = mostCalls
	}
	more := ""
	for n := count - 1; n >= 0; n-- {
		var all []string
		for _, f := range functions {
			call, err := t.call(g, f, n)
			if err != nil {
				return "", fmt.Errorf("function %.60q: %w", f.Name, err)
			}
			all = append(all, g.Rule(call))
		}
		call := g.Rule(lark.Any(all))
		between := join(g.Marks(t.between...), call)
		switch {
		case one:
			more = call
		case !t.counted:
			more = call + " (" + between + ")*"
		case more == "":
			more = call
		default:
			more = g.Rule(call + " (" + join(g.Marks(t.between...), more) + ")?")
		}
	}
	return g.Rule(join(g.Marks(t.begin...), more, g.Marks(t.end...))), nil
}

// markers are those that no text may hold where they are no control tokens.
func (t *turn) markers() []string {
	all := []string{t.thought.open[0], t.thought.close[0], t.opens}
	for _, list := range [][]string{t.next, t.begin, t.end, t.inside} {
		all = append(all, list[:min(len(list), 1)]...)
	}
	for _, s := range t.says {
		all = append(append(all, s.open[:min(len(s.open), 1)]...), s.close[:min(len(s.close), 1)]...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return !isMarker(s) })
}

// isMarker reports whether a text looks like one that prose has not.
func isMarker(s string) bool {
	return strings.HasPrefix(s, "<") || strings.HasPrefix(s, "[") && len(s) > 1
}

// join are the parts that say something.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// elements writes a call's arguments as elements, one a parameter; open makes
// what begins one of a type.
type elements struct {
	open  func(key, kind string) []string
	close []string
	// typed: an element says whether it is a string. Where it does not, a text that
	// would be JSON is a string in quotes.
	typed bool
	// texts: every value is read as a string.
	texts bool
	// strip: white space around a text is none of it.
	strip bool
	// named reports whether the format can write a name; nil: every word.
	named func(name string) bool
	// avoid are markers that a text must not hold, behind the first of close.
	avoid []string
	style lark.Style
}

// Texts that would not be read back as they are, as regular expressions.
const (
	// jsonText are those that could be JSON: a number or a word, or what begins as a
	// string, object or list does.
	jsonText = `/[ \t\r\n]*(["{\[](\n|.)*|-?[0-9][0-9.eE+-]*[ \t\r\n]*|true[ \t\r\n]*|false[ \t\r\n]*|null[ \t\r\n]*)/`
	// spaceText are those with white space at an end.
	spaceText = `/[\s\x{1c}-\x{1f}\x{85}\p{Z}](\n|.)*|(\n|.)*[\s\x{1c}-\x{1f}\x{85}\p{Z}]/`
)

// misread are the texts that would not be read back as they are; "": none.
func (e *elements) misread() []string {
	var all []string
	if !e.typed {
		all = append(all, jsonText)
	}
	if e.strip {
		all = append(all, spaceText)
	}
	return all
}

// write are the elements of a function's parameters.
func (e *elements) write(g *lark.Grammar, f reasoning.Function) (string, error) {
	all, err := lark.Properties(lark.Parameters(f))
	if err != nil {
		return "", err
	}
	var parts []string
	for _, p := range all {
		alternatives, err := e.element(g, p, f)
		if err != nil {
			return "", fmt.Errorf("parameter %.60q: %w", p.Name, err)
		}
		part := g.Rule(lark.Any(alternatives))
		if !p.Required {
			part += "?"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " "), nil
}

// element is a parameter's element, by the types that it may have.
func (e *elements) element(g *lark.Grammar, p lark.Property, f reasoning.Function) (alternatives []string, err error) {
	if !lark.IsWord(p.Name) || e.named != nil && !e.named(p.Name) {
		return nil, errNoWord
	}
	all, err := lark.Branches(p.Schema, f.Parameters)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		value, err := e.value(g, b, f)
		if err != nil {
			return nil, err
		}
		kind := b.Type
		if kind == "integer" {
			kind = "number"
		}
		alternatives = append(alternatives, join(g.Marks(e.open(p.Name, kind)...), value))
	}
	return alternatives, nil
}

// inJSON is a name as JSON; the machines read it as it stands.
func inJSON(name string) (string, error) {
	quoted := lark.String(name)
	if quoted != `"`+name+`"` {
		return "", fmt.Errorf("the name %.60q needs escapes", name)
	}
	return quoted, nil
}

// errNoWord is a name that its format cannot write.
var errNoWord = errors.New(`the name must be letters, digits, "_", "-" and "." alone`)

// value is a value with what ends its element.
func (e *elements) value(g *lark.Grammar, b lark.Branch, f reasoning.Function) (string, error) {
	end := g.Marks(e.close...)
	switch {
	case b.Values != nil:
		var all []string
		for _, raw := range b.Values {
			text, err := e.literal(b.Type, string(raw))
			if err != nil {
				return "", err
			}
			all = append(all, lark.Quote(text))
		}
		return join(lark.Any(all), end), nil
	case b.Type == "string":
		text, err := g.Except(b.Schema, e.misread(), e.close, e.avoid...)
		if err != nil || e.typed {
			return text, err
		}
		quoted, err := lark.JSON(b.Schema, f.Parameters, e.style)
		return lark.Any([]string{text, join(quoted, end)}), err
	case e.texts:
		return "", errors.New("values other than strings")
	}
	value, err := lark.Typed(b, f.Parameters, e.style)
	return join(value, end), err
}

// literal is a value that a schema lists, as an element has it.
func (e *elements) literal(kind, raw string) (string, error) {
	if kind != "string" {
		return raw, nil
	}
	var text string
	if err := json.Unmarshal([]byte(raw), &text); err != nil {
		return "", err
	}
	if !e.typed && json.Valid([]byte(text)) {
		return raw, nil
	}
	return text, nil
}
