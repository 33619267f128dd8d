// Package lark writes grammars of tool calls in llguidance's dialect of Lark:
// markers, which are control tokens where the vocabulary has them as such, free
// text between markers, and values that follow a JSON schema, as JSON or as a
// format writes them otherwise. What the pieces are put together to is the
// formats' affair (internal/toolcall, internal/reasoning). It knows no vocabulary
// beyond reasoning.Writing and compiles nothing.
package lark

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// Grammar is a grammar that is being written.
type Grammar struct {
	w     reasoning.Writing
	rules strings.Builder
	known map[string]string // rules by what they say
	name  string            // of its rules; "": they have none
	count int
}

// New begins a grammar.
func New(w reasoning.Writing) *Grammar { return &Grammar{w: w, known: map[string]string{}} }

// NewNamed begins a part of a grammar whose rules' names begin with a word of lower
// case.
func NewNamed(w reasoning.Writing, name string) *Grammar {
	g := New(w)
	g.name = name + "_"
	return g
}

// Rules are those that it has so far.
func (g *Grammar) Rules() string { return g.rules.String() }

// Source is the whole, with the rule that a text begins with.
func (g *Grammar) Source(start string) string { return "start: " + start + "\n" + g.rules.String() }

// Rule is the name of a rule; rules that say the same are one.
func (g *Grammar) Rule(body string) string { return g.define("r", "", body) }

// lexeme is the name of a token of text.
func (g *Grammar) lexeme(body string) string { return g.define("T", "", body) }

// lazy is the name of a rule whose text ends as soon as it may.
func (g *Grammar) lazy(body string) string { return g.define("z", "[lazy]", body) }

func (g *Grammar) define(prefix, attribute, body string) string {
	key := prefix + body
	if name, ok := g.known[key]; ok {
		return name
	}
	name := g.Name(prefix)
	g.known[key] = name
	g.Define(name, attribute, body)
	return name
}

// Name is a name that no rule has.
func (g *Grammar) Name(prefix string) string {
	g.count++
	name := g.name
	if prefix == strings.ToUpper(prefix) {
		name = strings.ToUpper(name)
	}
	return fmt.Sprintf("%s%s%d", name, prefix, g.count)
}

// Define says what a name of Name stands for.
func (g *Grammar) Define(name, attribute, body string) {
	fmt.Fprintf(&g.rules, "%s%s: %s\n", name, attribute, body)
}

// Marker is a text, or the control token that it spells.
func Marker(w reasoning.Writing, text string) string {
	if id, control := w.Control(text); control {
		return fmt.Sprintf("<[%d]>", id)
	}
	return Quote(text)
}

// Marks are markers and texts one behind the other. What stands behind a token
// that ends an answer does not come any more, so it ends there.
func (g *Grammar) Marks(texts ...string) string {
	var parts []string
	for _, text := range texts {
		if text == "" {
			continue
		}
		if g.w.Ends != nil && g.w.Ends(text) {
			break
		}
		parts = append(parts, Marker(g.w, text))
	}
	return strings.Join(parts, " ")
}

// Quote is a literal.
func Quote(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(quoted)
}

// Any are alternatives.
func Any(alternatives []string) string {
	if len(alternatives) == 1 {
		return alternatives[0]
	}
	return "(" + strings.Join(alternatives, " | ") + ")"
}

// String is a text as JSON, with no more escapes than JSON needs.
func String(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// anyText is any text, as a regular expression.
const anyText = `/(\n|.)*/`

// Text is text in which none of the markers stand.
func (g *Grammar) Text(markers ...string) string { return g.text(anyText, markers) }

// text is text of a regular expression, or of several joined by "&", without the
// markers. Control tokens are none of a text's anyway.
func (g *Grammar) text(expr string, markers []string) string {
	var bad []string
	for _, m := range markers {
		if _, control := g.w.Control(m); !control && m != "" {
			bad = append(bad, Quote(m))
		}
	}
	if len(bad) == 0 {
		return g.lexeme(expr)
	}
	return g.lexeme(expr + " & ~" + g.lexeme(anyText+" "+Any(bad)+" "+anyText))
}

// Until is text up to what ends it, which it ends with, and without the markers.
func (g *Grammar) Until(end []string, markers ...string) string {
	return g.until(anyText, end, markers)
}

func (g *Grammar) until(expr string, end, markers []string) string {
	at := slices.IndexFunc(end, func(s string) bool { _, control := g.w.Control(s); return control })
	if at >= 0 || len(end) == 0 {
		at = max(at, 0)
		text := g.text(expr, markers)
		if before := strings.Join(end[:at], ""); before != "" { // text would take it too
			text = g.lexeme(text + " " + Quote(before))
		}
		return strings.TrimSpace(text + " " + g.Marks(end[at:]...))
	}
	if len(end) > 1 || expr != anyText {
		for _, s := range end {
			if strings.TrimSpace(s) != "" {
				markers = append(slices.Clone(markers), s)
			}
		}
	}
	return g.lazy(g.text(expr, markers) + " " + Quote(strings.Join(end, "")))
}
