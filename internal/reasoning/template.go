package reasoning

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/reasond/reasond/api/reasoning"
)

// ResponseTemplate is the name of the parser that a model's tokenizer brings.
const ResponseTemplate = "response-template"

// ErrNoResponseTemplate says that a tokenizer's configuration has none.
var ErrNoResponseTemplate = errors.New("the tokenizer's configuration has no response_template")

// FromTokenizerConfig makes a parser of the response template in a
// tokenizer_config.json, or ErrNoResponseTemplate.
func FromTokenizerConfig(config []byte) (reasoning.Descriptor, error) {
	var file struct {
		Template json.RawMessage `json:"response_template"`
		Schema   json.RawMessage `json:"response_schema"`
	}
	if err := json.Unmarshal(config, &file); err != nil {
		return reasoning.Descriptor{}, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	switch {
	case len(file.Template) > 0 && string(file.Template) != "null":
		return FromResponseTemplate(file.Template)
	case len(file.Schema) > 0 && string(file.Schema) != "null":
		return reasoning.Descriptor{}, fmt.Errorf("%w, only a response_schema, which no stream can be parsed by", ErrNoResponseTemplate)
	}
	return reasoning.Descriptor{}, ErrNoResponseTemplate
}

// FromResponseTemplate makes a parser of a Hugging Face response template
// (transformers 5.13 and later, "Response Parsing" in its documentation). The
// descriptor is not registered.
//
// A template describes an answer as fields between delimiters, texts or regular
// expressions; at most one field, the implicit one, has no opening and takes
// what is outside of the others. thinking is reasoning, content is content,
// tool_calls are calls; other fields are not shown. Calls are emitted where the
// template says which parts are name and arguments, and left in the content,
// delimiters and all, where it does not.
//
// It differs from transformers in what the laws of api/reasoning ask for: white
// space is not stripped, nothing raises, and text outside of all fields is
// content up to the first delimiter (all of it, if no field is content). What a
// regular expression matches is at most 512 bytes long.
func FromResponseTemplate(template []byte) (reasoning.Descriptor, error) {
	t, err := readTemplate(template)
	if err != nil {
		return reasoning.Descriptor{}, fmt.Errorf("response_template: %w", err)
	}
	d := reasoning.Descriptor{
		Name: ResponseTemplate, Doc: "the response_template of the model's tokenizer",
		Blocks: true, Tools: t.tools, Arguments: t.arguments,
		New: func(s reasoning.Start) reasoning.Parser { return newTemplated(t, s) },
	}
	if t.tools {
		d.Grammar = t.grammar
	}
	for _, f := range t.fields {
		for _, delimiter := range []*pattern{f.open, f.close} {
			if delimiter != nil {
				d.MaxHold = max(d.MaxHold, delimiter.longest+utf8.UTFMax-1) // half a character too
			}
		}
		if f.shown == fieldReasoning {
			d.Opens, d.Closes = append(d.Opens, f.opens...), append(d.Closes, f.closes...)
			if d.End == "" && len(f.closes) > 0 {
				d.End = f.closes[0]
			}
		}
	}
	return d, nil
}

// documented is the template by which transformers' documentation explains
// templates. It stands in where the tokenizer is not at hand: a text parsed
// offline, or an engine elsewhere.
const documented = `{
	"start_anchor": "<|im_start|>assistant\n",
	"fields": {
		"thinking": {"open": "<think>", "close": "</think>"},
		"tool_calls": {
			"open": "<tool_call>", "close": "</tool_call>", "repeats": true, "content": "json",
			"transform": {"type": "function", "function": "{content}"}
		},
		"content": {"close": "<|im_end|>"}
	}
}`

func init() {
	d, err := FromResponseTemplate([]byte(documented))
	if err != nil {
		panic("reasoning: " + err.Error())
	}
	d.Aliases = []string{"hf"}
	reasoning.Register(d)
}

// template is a response template, ready for use.
type template struct {
	fields    []*field
	implicit  *field   // outside of all others; nil if there is none
	content   bool     // some field is content
	tools     bool     // calls are emitted
	anchors   []string // of what a prompt ends with; none where it is an expression
	arguments func(string) string
}

// field is a field of the message, and the frame of text that it comes from.
type field struct {
	name          string
	shown         fieldKind
	open, close   *pattern // nil: none
	opens, closes []string // the same, where they are texts
	call          *callFormat
	list          bool        // calls stand in a list
	content       string      // the content parser of calls
	args          contentArgs // its options
}

type fieldKind uint8

const (
	fieldHidden    fieldKind = iota
	fieldReasoning           // the text is reasoning
	fieldContent             // the text is content
	fieldArguments           // the text is a call's arguments; the opening delimiter has its name
	fieldCalls               // the text is JSON with name and arguments
	fieldMarkup              // the text is content, and so are its delimiters
)

// kinds are the fields that a message may have. A template may name any other.
var kinds = map[string]fieldKind{
	"thinking": fieldReasoning, "reasoning": fieldReasoning, "reasoning_content": fieldReasoning,
	"content": fieldContent, "tool_calls": fieldMarkup,
}

// fieldSpec is a field as a template spells it.
type fieldSpec struct {
	Open          *oneOrMany      `json:"open"`
	OpenPattern   *string         `json:"open_pattern"`
	Close         *oneOrMany      `json:"close"`
	ClosePattern  *string         `json:"close_pattern"`
	Content       string          `json:"content"`
	ContentArgs   contentArgs     `json:"content_args"`
	Repeats       bool            `json:"repeats"`
	Join          *string         `json:"join"`
	Optional      *bool           `json:"optional"`
	Transform     json.RawMessage `json:"transform"`
	TransformEach bool            `json:"transform_each"`
}

// oneOrMany is a text or a list of texts.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMany{one}
	} else if err := json.Unmarshal(data, (*[]string)(o)); err != nil {
		return errors.New("neither a text nor a list of texts")
	}
	if len(*o) == 0 || slices.Contains(*o, "") {
		return errors.New("an empty delimiter")
	}
	return nil
}

func readTemplate(data []byte) (*template, error) {
	var spec struct {
		Version  *int                       `json:"version"`
		Defaults map[string]json.RawMessage `json:"defaults"`
		Fields   map[string]json.RawMessage `json:"fields"`
		Anchor   *oneOrMany                 `json:"start_anchor"`
		Pattern  *string                    `json:"start_anchor_pattern"`
	}
	if err := strict(data, &spec); err != nil {
		return nil, err
	}
	switch {
	case spec.Version != nil && *spec.Version != 1:
		return nil, fmt.Errorf("version: %d is not known", *spec.Version)
	case len(spec.Fields) == 0:
		return nil, errors.New("fields: there are none")
	case (spec.Anchor == nil) == (spec.Pattern == nil):
		return nil, errors.New("one of start_anchor and start_anchor_pattern is due")
	}
	names := make([]string, 0, len(spec.Fields))
	for name := range spec.Fields {
		names = append(names, name)
	}
	t := &template{}
	if spec.Anchor != nil {
		t.anchors = *spec.Anchor
	}
	slices.Sort(names) // of two fields that open alike the first wins
	for _, name := range names {
		f, err := t.readField(name, spec.Fields[name])
		if err != nil {
			return nil, fmt.Errorf("fields.%s: %w", name, err)
		}
		t.fields = append(t.fields, f)
		t.content = t.content || f.shown == fieldContent
		if f.open != nil {
			continue
		}
		if t.implicit != nil {
			return nil, fmt.Errorf("fields.%s: only one field may have no open, %s has none", name, t.implicit.name)
		}
		t.implicit = f
	}
	return t, nil
}

func (t *template) readField(name string, data json.RawMessage) (*field, error) {
	var spec fieldSpec
	if err := strict(data, &spec); err != nil {
		return nil, err
	}
	if spec.Join != nil && !spec.Repeats {
		return nil, errors.New("join: only with repeats")
	}
	if spec.Content == "" {
		spec.Content = "text"
	}
	if !slices.Contains(contentKinds, spec.Content) {
		return nil, fmt.Errorf("content: %q is none of %s", spec.Content, strings.Join(contentKinds, ", "))
	}
	f := &field{name: name, shown: kinds[name]}
	var err error
	if f.open, f.opens, err = delimiter("open", spec.Open, spec.OpenPattern); err != nil {
		return nil, err
	}
	if f.close, f.closes, err = delimiter("close", spec.Close, spec.ClosePattern); err != nil {
		return nil, err
	}
	if name != "tool_calls" {
		return f, nil
	}
	return f, t.readCalls(f, &spec)
}

// delimiter reads one of the two of a field; nil if the field has none.
func delimiter(key string, texts *oneOrMany, expr *string) (*pattern, []string, error) {
	switch {
	case texts != nil && expr != nil:
		return nil, nil, fmt.Errorf("%s and %s_pattern exclude each other", key, key)
	case texts != nil:
		return literals(*texts), *texts, nil
	case expr != nil:
		p, err := compilePattern(*expr)
		if err != nil {
			return nil, nil, fmt.Errorf("%s_pattern: %w", key, err)
		}
		return p, nil, nil
	}
	return nil, nil, nil
}

// readCalls finds out which parts of a call are its name and its arguments.
func (t *template) readCalls(f *field, spec *fieldSpec) error {
	if err := spec.ContentArgs.check(spec.Content); err != nil {
		return fmt.Errorf("content_args: %w", err)
	}
	name, arguments := callParts(spec.Transform)
	plain := spec.Content == "json" && !spec.ContentArgs.dialect()
	switch {
	case name == "name" && arguments == "content" && f.open != nil && f.open.capture > 0:
		f.shown = fieldArguments
		if !plain {
			t.arguments = func(raw string) string { return spec.ContentArgs.object(spec.Content, raw) }
		}
	case name != "" && arguments != "" && plain:
		f.shown = fieldCalls
		f.call = &callFormat{strings.TrimPrefix(name, "content."), strings.TrimPrefix(arguments, "content.")}
		if spec.TransformEach == strings.HasPrefix(name, "content.") || strings.Contains(f.call.name+f.call.arguments, ".") {
			f.shown, f.call = fieldMarkup, nil
		}
	}
	f.list, f.content, f.args = spec.TransformEach, spec.Content, spec.ContentArgs
	t.tools = f.shown != fieldMarkup
	return nil
}

// callParts are the placeholders of a transform that a call's name and
// arguments come from, without braces; empty where they are something else.
func callParts(transform json.RawMessage) (name, arguments string) {
	var whole struct{ Function json.RawMessage }
	if json.Unmarshal(transform, &whole) != nil {
		return "", ""
	}
	var function string
	if json.Unmarshal(whole.Function, &function) == nil && function == "{content}" {
		return "content.name", "content.arguments"
	}
	var parts struct{ Name, Arguments string }
	if json.Unmarshal(whole.Function, &parts) != nil {
		return "", ""
	}
	return placeholder(parts.Name), placeholder(parts.Arguments)
}

func placeholder(s string) string {
	if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") {
		return s[1 : len(s)-1]
	}
	return ""
}

// strict reads JSON, all of it, into a struct that knows every key.
func strict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
