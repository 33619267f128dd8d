package toolcall

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Function is a tool as a grammar of calls needs it.
type Function struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"` // a JSON schema; nil: none
	Strict     bool            `json:"strict"`     // arguments must follow it
}

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

// Writing says how calls are to be written.
type Writing struct {
	// Marker is the id of a text that is a control token of the vocabulary.
	Marker func(text string) (id int32, control bool)
	One    bool // exactly one call
	// Opener, where it is not empty, is the marker that calls begin with: text may
	// stand before it, see FreeGrammar.
	Opener string
}

// FreeGrammar is a grammar of an answer in which calls may stand: text is free,
// but what begins as a call does is one of the functions' calls, followed by text.
// ok is false where calls cannot be told from text by a marker.
func (d *Descriptor) FreeGrammar(functions []Function, w Writing) (source string, ok bool, err error) {
	if d.Grammar == nil || len(d.Opens) == 0 {
		return "", false, nil
	}
	for i := len(d.Opens) - 1; i >= 0 && !strings.Contains(source, opened); i-- { // those of blocks are last
		w.Opener = d.Opens[i]
		if source, err = d.Grammar(functions, w); err != nil {
			return "", false, err
		}
	}
	calls, found := strings.CutPrefix(source, "start: ")
	if !found || !strings.Contains(source, opened) {
		return "", false, nil
	}
	head := opened + "[lazy]: TEXT " + larkString(w.Opener) + "\n" // ends with the first opener
	if id, control := w.Marker(w.Opener); control {
		head = fmt.Sprintf("%s: TEXT <[%d]>\n", opened, id)
	}
	if !strings.Contains(source, textRule) {
		head += textRule
	}
	return "start: TEXT | calls TEXT\ncalls: " + calls + head, true, nil
}

// opened is the rule of text up to an opener, textRule that of text.
const (
	opened   = "opened"
	textRule = "TEXT: /(\\n|.)*/\n"
)

// GrammarFunc writes the grammar, in llguidance's Lark, of an answer that is one
// call or more of the functions and nothing else, in the way that the model's
// chat template writes them.
type GrammarFunc func(functions []Function, w Writing) (string, error)

// text is a literal of Lark, or the control token that it spells.
func (w Writing) text(s string) string {
	if w.Opener != "" && s == w.Opener {
		return opened
	}
	if id, control := w.Marker(s); control {
		return fmt.Sprintf("<[%d]>", id)
	}
	return larkString(s)
}

func larkString(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(quoted)
}

// schema is a function's parameters as a part of Lark: JSON on one line, as
// json.dumps writes it.
func (f Function) schema() (string, error) {
	schema := f.Parameters
	if len(schema) == 0 || string(schema) == "null" {
		schema = json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return jsonOf(schema)
}

func jsonOf(schema json.RawMessage) (string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(schema, &members); err != nil || members == nil {
		return "", errors.New("parameters are not a JSON schema")
	}
	members["x-guidance"] = json.RawMessage(`{"whitespace_flexible":false,"item_separator":", ","key_separator":": "}`)
	if members["properties"] != nil {
		// A tool takes the arguments that it lists, unless it says otherwise.
		for name, value := range map[string]string{"type": `"object"`, "additionalProperties": "false"} {
			if _, said := members[name]; !said {
				members[name] = json.RawMessage(value)
			}
		}
	}
	data, err := json.Marshal(members)
	return "%json " + string(data), err
}

// layout is how a format whose arguments are JSON writes an answer.
type layout struct {
	begin, between, end []string // around and between calls; each a marker or text
	call                func(f Function, args string, w Writing) string
}

func (l layout) grammar(functions []Function, w Writing) (string, error) {
	var b strings.Builder
	var names []string
	for i, f := range functions {
		args, err := f.schema()
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
	if w.Opener != "" && len(l.begin) == 0 {
		more = " call*" // an opener takes what stands before it
	}
	if w.One {
		more = ""
	}
	return fmt.Sprintf("start: %s call%s %s\ncall: %s\n%s", parts(l.begin), more, parts(l.end), strings.Join(names, " | "), b.String()), nil
}

// envelopeCall is {"name": "f", KEY: {…}} between markers.
func envelopeCall(before []string, key string, after []string) func(Function, string, Writing) string {
	return func(f Function, args string, w Writing) string {
		var parts []string
		for _, s := range before {
			parts = append(parts, w.text(s))
		}
		parts = append(parts, larkString(`{"name": `+larkString(f.Name)+`, "`+key+`": `), args, larkString("}"))
		for _, s := range after {
			parts = append(parts, w.text(s))
		}
		return strings.Join(parts, " ")
	}
}

// headerCall is a name between markers, then arguments; name makes the text
// where the name stands.
func headerCall(before []string, name func(string) string, middle, after []string) func(Function, string, Writing) string {
	return func(f Function, args string, w Writing) string {
		var parts []string
		for _, s := range before {
			parts = append(parts, w.text(s))
		}
		parts = append(parts, larkString(name(f.Name)))
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
func (k *markup) grammar(open string) GrammarFunc {
	return func(functions []Function, w Writing) (string, error) {
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
		case w.Opener != "": // takes what stands before it
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
func (k *markup) call1(name string, f Function, w Writing) (rule, values string, err error) {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if len(f.Parameters) > 0 && json.Unmarshal(f.Parameters, &schema) != nil {
		return "", "", errors.New("parameters are not a JSON schema")
	}
	required := map[string]bool{}
	for _, key := range schema.Required {
		required[key] = true
	}
	line := ""
	if k.trim {
		line = "\n"
	}
	parts := []string{w.text(k.call + f.Name + k.nameEnds[0])}
	if k.nameEnds[0] != "\n" {
		parts = append(parts, larkString("\n"))
	}
	var b strings.Builder
	for i, key := range keysInOrder(f.Parameters) {
		value := fmt.Sprintf("%s_%d", name, i)
		prefix := k.param + key + k.paramEnd(schema.Properties[key]) + between(k.value) + k.value + line
		suffix := line + k.close + "\n"
		if typeOf(schema.Properties[key], 0) == stringType {
			fmt.Fprintf(&b, "%s[lazy]: TEXT %s\n", value, larkString(suffix))
		} else {
			text, err := jsonOf(schema.Properties[key])
			if err != nil {
				return "", "", fmt.Errorf("parameter %.60q: %w", key, err)
			}
			fmt.Fprintf(&b, "%s: %s %s\n", value, text, larkString(suffix))
		}
		part := "(" + larkString(prefix) + " " + value + ")"
		if !required[key] {
			part += "?"
		}
		parts = append(parts, part)
	}
	return strings.Join(append(parts, larkString(k.end)), " "), b.String(), nil
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

// keysInOrder are the properties' names as the schema lists them.
func keysInOrder(schema json.RawMessage) []string {
	var outer struct {
		Properties json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &outer) != nil {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(string(outer.Properties)))
	var keys []string
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return keys
		}
		keys = append(keys, key.(string))
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return keys
		}
	}
	return keys
}
