package reasoning

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark"
)

// turn is how an answer is written that a template reads. A template says what to
// look for, not what models write: of a list of texts the first is written, of a
// regular expression the shortest text that the expression's first alternatives
// describe, whatever of it is optional left out. An error says what cannot be
// written so.
func (t *template) turn() (*turn, error) {
	out := &turn{}
	var calls *field
	for _, f := range t.fields {
		around, err := f.around()
		if err != nil && (f.shown == fieldReasoning || f.shown == fieldContent) {
			return nil, fmt.Errorf("the field %s: %w", f.name, err)
		}
		switch f.shown {
		case fieldReasoning:
			out.thought = around
		case fieldContent:
			out.says = append(out.says, around)
		case fieldArguments, fieldCalls:
			calls = f
		}
	}
	switch {
	case calls == nil || calls.close == nil:
		return nil, errors.New("the calls have no end")
	case len(out.thought.open) == 0 || len(out.thought.close) == 0:
		return nil, errors.New("the thought has no beginning or no end")
	}
	if t.implicit == nil && t.content && len(t.anchors) > 0 { // what is outside of all fields is markup
		out.next, out.mayNext = markersIn(t.anchors[0]), true
	}
	return out, t.callsOf(out, calls)
}

// around is what stands around a field's text.
func (f *field) around() (s span, err error) {
	if f.open != nil {
		if s.open, err = written(f.open, f.opens, nil); err != nil {
			return s, err
		}
	}
	if f.close != nil {
		s.close, err = written(f.close, f.closes, nil)
	}
	return s, err
}

// written is a delimiter, cut into its markers and the text between them. Groups
// stand for the texts given by their names.
func written(p *pattern, texts []string, groups map[string]string) ([]string, error) {
	if len(texts) > 0 {
		return markersIn(texts[0]), nil
	}
	text, err := sample(p.source, groups)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile("(?s)" + goSpelling(p.source))
	if err != nil {
		return nil, err
	}
	m := re.FindStringSubmatchIndex(text)
	if m == nil || m[0] != 0 || m[1] != len(text) {
		return nil, fmt.Errorf("no text for the regular expression %q was found", p.source)
	}
	for name, value := range groups {
		if i := re.SubexpIndex(name); i < 0 || m[2*i] < 0 || text[m[2*i]:m[2*i+1]] != value {
			return nil, fmt.Errorf("%.60q is no %s for the regular expression %q", value, name, p.source)
		}
	}
	return markersIn(text), nil
}

// inMarks are what control tokens look like.
var inMarks = regexp.MustCompile(`<[^<>\s]+>|\[[A-Za-z/_]+\]`)

// markersIn cuts a text at what may be control tokens.
func markersIn(text string) (all []string) {
	at := 0
	for _, m := range inMarks.FindAllStringIndex(text, -1) {
		all = append(all, text[at:m[0]], text[m[0]:m[1]])
		at = m[1]
	}
	return slices.DeleteFunc(append(all, text[at:]), func(s string) bool { return s == "" })
}

// sample is a text that a regular expression in Python's spelling describes.
func sample(expr string, groups map[string]string) (string, error) {
	re, err := syntax.Parse(goSpelling(expr), syntax.Perl|syntax.DotNL)
	if err != nil {
		return "", err
	}
	return sampleOf(re, groups), nil
}

func sampleOf(re *syntax.Regexp, groups map[string]string) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for _, r := range "a0_ \n" {
			for i := 0; i < len(re.Rune); i += 2 {
				if re.Rune[i] <= r && r <= re.Rune[i+1] {
					return string(r)
				}
			}
		}
		if len(re.Rune) > 0 {
			return string(re.Rune[0])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "a"
	case syntax.OpCapture:
		if text, given := groups[re.Name]; given {
			return text
		}
		return sampleOf(re.Sub[0], groups)
	case syntax.OpPlus, syntax.OpAlternate:
		return sampleOf(re.Sub[0], groups)
	case syntax.OpRepeat:
		return strings.Repeat(sampleOf(re.Sub[0], groups), re.Min)
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(sampleOf(sub, groups))
		}
		return b.String()
	}
	return "" // what may be left out, and places
}

// callsOf writes a field of calls.
func (t *template) callsOf(out *turn, f *field) error {
	end, err := written(f.close, f.closes, nil)
	if err != nil {
		return err
	}
	if f.shown == fieldArguments {
		if open, err := written(f.open, nil, map[string]string{"name": "f"}); err == nil && isMarker(open[0]) {
			out.opens = open[0]
		}
		arguments, err := f.arguments(end)
		out.call = func(g *lark.Grammar, fn reasoning.Function, _ int) (string, error) {
			open, err := written(f.open, nil, map[string]string{"name": fn.Name})
			if err != nil {
				return "", err
			}
			args, err := arguments(g, fn)
			return join(g.Marks(open...), args, g.Marks(end...)), err
		}
		return err
	}
	if f.open == nil {
		return errors.New("the calls have no beginning")
	}
	open, err := written(f.open, f.opens, nil)
	if err != nil {
		return err
	}
	if isMarker(open[0]) {
		out.opens = open[0]
	}
	out.call = func(g *lark.Grammar, fn reasoning.Function, _ int) (string, error) {
		name, err := inJSON(fn.Name)
		if err != nil {
			return "", err
		}
		args, err := lark.Object(fn, lark.Spaced)
		call := join(lark.Quote("{"+lark.Quote(f.call.name)+": "+name+", "+lark.Quote(f.call.arguments)+": "), args, lark.Quote("}"))
		if f.list {
			return call, err
		}
		return join(g.Marks(open...), call, g.Marks(end...)), err
	}
	if f.list {
		out.begin, out.between, out.end = append(slices.Clone(open), "["), []string{", "}, append([]string{"]"}, end...)
	}
	return nil
}

// arguments writes a call's arguments as the field's content parser reads them.
func (f *field) arguments(end []string) (func(*lark.Grammar, reasoning.Function) (string, error), error) {
	a := &f.args
	switch f.content {
	case "json":
		if !a.UnquotedKeys && len(a.StringDelims) == 0 {
			return func(_ *lark.Grammar, fn reasoning.Function) (string, error) { return lark.Object(fn, lark.Spaced) }, nil
		}
		if len(a.StringDelims) != 1 || a.StringDelims[0][0] != a.StringDelims[0][1] {
			return nil, errors.New("JSON whose strings stand between more than one kind of marker")
		}
		d := lark.Dialect{True: "true", False: "false", Null: "null", Quotes: a.StringDelims[0][0], Bare: a.UnquotedKeys, Plain: true, Item: ",", Key: ":"}
		return func(g *lark.Grammar, fn reasoning.Function) (string, error) {
			schema := lark.Parameters(fn)
			return (&lark.Values{Grammar: g, Dialect: d, Root: schema}).Value(schema)
		}, nil
	case "xml-inline", "kv-lines":
		e, err := a.elements(f.content)
		if err != nil {
			return nil, err
		}
		e.avoid = append(e.avoid, strings.Join(end, ""))
		return e.write, nil
	}
	return nil, fmt.Errorf("arguments of the kind %q", f.content)
}

// elements are how arguments of an element or a line each are written.
func (a *contentArgs) elements(kind string) (*elements, error) {
	e := &elements{style: lark.Spaced, strip: true}
	switch v := a.ValueParser; {
	case v == nil, v.Name == "text":
		e.typed, e.texts = true, true
	case v.Args.dialect() && !(v.Args.AllowNonJSON && len(v.Args.StringDelims) == 0 && !v.Args.UnquotedKeys):
		return nil, errors.New("values that are not quite JSON")
	case v.Name != "json" && v.Name != "int" && v.Name != "float":
		return nil, fmt.Errorf("values of the kind %q", v.Name)
	}
	if kind == "kv-lines" {
		line, sep := "\n", ":"
		if a.LineSep != nil && *a.LineSep != "" {
			line = *a.LineSep
		}
		if a.KVSep != nil && *a.KVSep != "" {
			sep = *a.KVSep
		}
		e.open, e.close = func(key, _ string) []string { return []string{key + sep} }, []string{line}
		return e, nil
	}
	const key, value = "k", "v" // on trial
	text, err := sample(a.TagPattern, map[string]string{"key": key, "value": value})
	if err != nil {
		return nil, err
	}
	m := a.tag.FindStringSubmatchIndex(text)
	k, v := 2*a.tag.SubexpIndex("key"), 2*a.tag.SubexpIndex("value")
	if m == nil || m[1] != len(text) || m[k] < 0 || m[v] < m[k] || text[m[k]:m[k+1]] != key || text[m[v]:m[v+1]] != value {
		return nil, fmt.Errorf("no text for the regular expression %q was found", a.TagPattern)
	}
	before, between, after := text[:m[k]], text[m[k+1]:m[v]], text[m[v+1]:]
	if after == "" {
		return nil, errors.New("values without an end")
	}
	e.open, e.close = func(key, _ string) []string { return []string{before + key + between} }, []string{after}
	e.named = func(key string) bool {
		m := a.tag.FindStringSubmatch(before + key + between + value + after)
		return m != nil && m[k/2] == key
	}
	return e, nil
}

// grammar is Descriptor.Grammar of a template, which says at once what is wrong.
func (t *template) grammar(functions []reasoning.Function, w reasoning.Writing) (string, error) {
	turn, err := t.turn()
	if err != nil {
		return "", fmt.Errorf("response_template: %w", err)
	}
	return turn.grammar(functions, w)
}
