package toolcall

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark"
)

// Function is a tool as a grammar of calls needs it.
type Function = reasoning.Function

// Writing says how calls are to be written.
type Writing = reasoning.Writing

// Functions reads the request's tools, as ReadTools does.
func Functions(tools json.RawMessage) []Function {
	var list []struct {
		Function *Function `json:"function"`
		bareFunction
	}
	if json.Unmarshal(tools, &list) != nil {
		return nil
	}
	var all []Function
	for _, t := range list {
		f := Function(t.bareFunction)
		if t.Function != nil {
			f = *t.Function
		}
		all = append(all, f)
	}
	return all
}

// bareFunction is a Function without the object of OpenAI around it.
type bareFunction Function

// Grammar writes the grammar, in llguidance's Lark, of an answer that is one call
// or more of the functions and nothing else, in the way that the model's chat
// template writes them. Where the writing is free, text may stand around calls.
func (d *Descriptor) Grammar(functions []Function, w Writing) (string, error) {
	if w.Free {
		return d.freeGrammar(functions, w)
	}
	return d.grammar(functions, writing{Writing: w})
}

// grammarFunc writes the grammar of an answer that is calls alone.
type grammarFunc func(functions []Function, w writing) (string, error)

// writing is a Writing within this package.
type writing struct {
	Writing
	// opener, where it is not empty, is the marker that calls begin with: text may
	// stand before it, see freeGrammar.
	opener string
}

// freeGrammar is a grammar of an answer in which calls may stand: text is free,
// but what begins as a call does is one of the functions' calls, followed by text.
// Where a format's calls begin without a marker, an answer is text that does not
// begin as they do, or calls.
func (d *Descriptor) freeGrammar(functions []Function, w Writing) (string, error) {
	if d.bare != "" {
		return d.bareGrammar(functions, w)
	}
	var source string
	for i := len(d.Opens) - 1; i >= 0 && !strings.Contains(source, opened); i-- { // those of blocks are last
		var err error
		if source, err = d.grammar(functions, writing{w, d.Opens[i]}); err != nil {
			return "", err
		}
		w := writing{w, d.Opens[i]}
		if !strings.Contains(source, opened) {
			continue
		}
		head := opened + "[lazy]: TEXT " + lark.Quote(w.opener) + "\n" // ends with the first opener
		if id, control := w.Control(w.opener); control {
			head = fmt.Sprintf("%s: TEXT <[%d]>\n", opened, id)
		}
		if !strings.Contains(source, textRule) {
			head += textRule
		}
		return "start: TEXT | calls TEXT\ncalls: " + strings.TrimPrefix(source, "start: ") + head, nil
	}
	return "", fmt.Errorf("calls in the format %s cannot be told from text", d.Name)
}

// bareGrammar is freeGrammar where a call begins the answer, without a marker.
func (d *Descriptor) bareGrammar(functions []Function, w Writing) (string, error) {
	source, err := d.grammar(functions, writing{Writing: w})
	if err != nil {
		return "", err
	}
	// White space may stand before a call too.
	return "start: OTHER | /[ \\t\\r\\n]*/ calls\ncalls: " + strings.TrimPrefix(source, "start: ") +
		"OTHER: /[ \\t\\r\\n]*([^ \\t\\r\\n" + classOf(d.bare) + "](\\n|.)*)?/" + d.withoutOpeners(w) + "\n", nil
}

// withoutOpeners excepts from text the markers that begin calls anywhere.
func (d *Descriptor) withoutOpeners(w Writing) (expr string) {
	for _, open := range d.Opens {
		if _, control := w.Control(open); !control {
			expr += " & ~(/(\\n|.)*/ " + lark.Quote(open) + " /(\\n|.)*/)"
		}
	}
	return expr
}

// classOf are bytes as members of a regular expression's class.
func classOf(bytes string) (class string) {
	for _, b := range bytes {
		class += `\` + string(b)
	}
	return class
}

// opened is the rule of text up to an opener, textRule that of text.
const (
	opened   = "opened"
	textRule = "TEXT: /(\\n|.)*/\n"
)

// text is a literal of Lark, or the control token that it spells.
func (w writing) text(s string) string {
	if w.opener != "" && s == w.opener {
		return opened
	}
	return lark.Marker(w.Writing, s)
}

// layout is how a format whose arguments are JSON writes an answer.
type layout struct {
	begin, between, end []string // around and between calls; each a marker or text
	call                func(f Function, args string, w writing) string
	bare                bool // names stand without quotes
}

func (l layout) grammar(functions []Function, w writing) (string, error) {
	var b strings.Builder
	var names []string
	for i, f := range functions {
		args, err := lark.Object(f, lark.Spaced)
		if err == nil && l.bare {
			err = bareName(f.Name)
		}
		if err != nil {
			return "", fmt.Errorf("function %.60q: %w", f.Name, err)
		}
		name := fmt.Sprintf("call%d", i)
		names = append(names, name)
		fmt.Fprintf(&b, "%s: %s\n", name, l.call(f, args, w))
	}
	parts := func(list []string) string {
		var out []string
		for _, s := range list {
			out = append(out, w.text(s))
		}
		return strings.Join(out, " ")
	}
	more := " (" + strings.TrimSpace(parts(l.between)+" call") + ")*"
	if w.opener != "" && len(l.begin) == 0 {
		more = " call*" // an opener takes what stands before it
	}
	if w.One {
		more = ""
	}
	return fmt.Sprintf("start: %s call%s %s\ncall: %s\n%s", parts(l.begin), more, parts(l.end), strings.Join(names, " | "), b.String()), nil
}

// bareName refuses a name that no parser finds the end of.
func bareName(name string) error {
	if strings.TrimSpace(name) != name || strings.ContainsAny(name, "<>\"{}[]()\n\r") || name == "" {
		return fmt.Errorf("the name %.60q has to stand without quotes", name)
	}
	return nil
}

// envelopeCall is {"name": "f", KEY: {…}} between markers.
func envelopeCall(before []string, key string, after []string) func(Function, string, writing) string {
	return func(f Function, args string, w writing) string {
		var parts []string
		for _, s := range before {
			parts = append(parts, w.text(s))
		}
		parts = append(parts, lark.Quote(`{"name": `+lark.String(f.Name)+`, "`+key+`": `), args, lark.Quote("}"))
		for _, s := range after {
			parts = append(parts, w.text(s))
		}
		return strings.Join(parts, " ")
	}
}

// headerCall is a name between markers, then arguments; name makes the text
// where the name stands.
func headerCall(before []string, name func(string) string, middle, after []string) func(Function, string, writing) string {
	return func(f Function, args string, w writing) string {
		var parts []string
		for _, s := range before {
			parts = append(parts, w.text(s))
		}
		parts = append(parts, lark.Quote(name(f.Name)))
		for _, s := range middle {
			parts = append(parts, w.text(s))
		}
		parts = append(parts, args)
		for _, s := range after {
			parts = append(parts, w.text(s))
		}
		return strings.Join(parts, " ")
	}
}

func itself(name string) string { return name }

// grammar writes calls as tags: each parameter's value is JSON where its schema
// is no string's, and free text up to the closing tag where it is.
func (k *markup) grammar(open string) grammarFunc {
	return func(functions []Function, w writing) (string, error) {
		var b strings.Builder
		var names []string
		for i, f := range functions {
			name := fmt.Sprintf("call%d", i)
			names = append(names, name)
			rule, values, err := k.call1(name, f, w)
			if err != nil {
				return "", fmt.Errorf("function %.60q: %w", f.Name, err)
			}
			fmt.Fprintf(&b, "%s: %s\n%s", name, rule, values)
		}
		block, wrapped := k.block, k.block != ""
		start := "start: call"
		switch {
		case w.One:
		case w.opener != "": // takes what stands before it
			start = "start: call+"
		default:
			start = "start: call (\"\\n\" call)*"
		}
		call := w.text(open) + " (" + strings.Join(names, " | ") + ")"
		if wrapped {
			call = w.text(open) + " \"\\n\" (" + strings.Join(names, " | ") + ") \"\\n\" " + w.text(block)
		}
		return start + "\ncall: " + call + "\n" + b.String() + textRule, nil
	}
}

// call1 is one function's call, and the rules of its values.
func (k *markup) call1(name string, f Function, w writing) (rule, values string, err error) {
	all, err := lark.Properties(lark.Parameters(f))
	if err == nil {
		err = bareName(f.Name)
	}
	if err != nil {
		return "", "", err
	}
	parts := []string{w.text(k.call + f.Name + k.nameEnds[0])}
	if k.nameEnds[0] != "\n" {
		parts = append(parts, lark.Quote("\n"))
	}
	var b strings.Builder
	for i, p := range all {
		value := fmt.Sprintf("%s_%d", name, i)
		rules, err := k.parameter(value, p, f, w)
		if err == nil {
			err = bareName(p.Name)
		}
		if err != nil {
			return "", "", fmt.Errorf("parameter %.60q: %w", p.Name, err)
		}
		b.WriteString(rules)
		part := value
		if !p.Required {
			part += "?"
		}
		parts = append(parts, part)
	}
	return strings.Join(append(parts, w.text(k.end)), " "), b.String(), nil
}

// parameter are the rules of a parameter with its tags.
func (k *markup) parameter(name string, p lark.Property, f Function, w writing) (string, error) {
	line := ""
	if k.trim {
		line = "\n"
	}
	g := lark.NewNamed(w.Writing, name)
	prefix := g.Marks(k.param, p.Name, k.paramEnd(p.Schema), between(k.value), k.value, line)
	if typeOf(p.Schema, 0) != stringType {
		value, err := lark.JSON(p.Schema, f.Parameters, lark.Spaced)
		return fmt.Sprintf("%s: %s %s %s\n", name, prefix, value, g.Marks(line, k.close, "\n")), err
	}
	values, free, err := stringsOf(p.Schema, f.Parameters)
	if err != nil {
		return "", err
	}
	var alternatives []string
	for _, v := range values {
		alternatives = append(alternatives, g.Marks(v, line, k.close))
	}
	for _, schema := range free {
		// What the parser would take for the value's end is none of it.
		text, err := g.String(schema, []string{line, k.close}, k.close, k.param, k.end)
		if err != nil {
			return "", err
		}
		alternatives = append(alternatives, text)
	}
	return fmt.Sprintf("%s: %s %s \"\\n\"\n%s", name, prefix, lark.Any(alternatives), g.Rules()), nil
}

// stringsOf are the strings of a schema that has strings alone: some are listed,
// others follow schemas.
func stringsOf(schema, root json.RawMessage) (values []string, free []json.RawMessage, err error) {
	all, err := lark.Branches(schema, root)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range all {
		switch {
		case b.Type != "string": // null, which is no text
		case b.Values == nil:
			free = append(free, b.Schema)
		default:
			for _, raw := range b.Values {
				var s string
				if err := json.Unmarshal(raw, &s); err != nil {
					return nil, nil, err
				}
				values = append(values, s)
			}
		}
	}
	return values, free, nil
}

// between is the line end before a value's own tag.
func between(value string) string {
	if value == "" {
		return ""
	}
	return "\n"
}

// paramEnd is what stands behind a parameter's name, which may state its type.
func (k *markup) paramEnd(schema json.RawMessage) string {
	for _, end := range k.paramEnds {
		if kind, ok := k.stated[end]; ok && (kind == stringType) == (typeOf(schema, 0) == stringType) {
			return end
		}
	}
	return k.paramEnds[len(k.paramEnds)-1]
}
