package reasoning

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// contentKinds are the content parsers of response templates.
var contentKinds = []string{"text", "int", "float", "bool", "json", "xml-inline", "kv-lines"}

// contentArgs are the options of a field's content parser.
type contentArgs struct {
	Strip           *bool        `json:"strip"`
	UnquotedKeys    bool         `json:"unquoted_keys"`
	StringDelims    [][2]string  `json:"string_delims"`
	AllowNonJSON    bool         `json:"allow_non_json"`
	TagPattern      string       `json:"tag_pattern"`
	MergeDuplicates bool         `json:"merge_duplicates"`
	LineSep         *string      `json:"line_sep"`
	KVSep           *string      `json:"kv_sep"`
	ValueParser     *valueParser `json:"value_parser"`

	tag *regexp.Regexp // of TagPattern
}

// valueParser parses a value within a field.
type valueParser struct {
	Name string      `json:"name"`
	Args contentArgs `json:"args"`
}

// check reads what has to be compiled.
func (a *contentArgs) check(kind string) error {
	if a.ValueParser != nil {
		if a.ValueParser.Name == "" {
			a.ValueParser.Name = "text"
		}
		if !slices.Contains(contentKinds, a.ValueParser.Name) {
			return fmt.Errorf("value_parser: %q is none of %s", a.ValueParser.Name, strings.Join(contentKinds, ", "))
		}
		if err := a.ValueParser.Args.check(a.ValueParser.Name); err != nil {
			return fmt.Errorf("value_parser: %w", err)
		}
	}
	if kind != "xml-inline" {
		return nil
	}
	var err error
	if a.tag, err = regexp.Compile("(?s)" + goSpelling(a.TagPattern)); err != nil {
		return fmt.Errorf("tag_pattern: %w", err)
	}
	if a.tag.SubexpIndex("key") < 0 || a.tag.SubexpIndex("value") < 0 {
		return errors.New("tag_pattern: the groups key and value are due")
	}
	return nil
}

// dialect says whether the JSON meant is not quite JSON.
func (a *contentArgs) dialect() bool {
	return a.UnquotedKeys || len(a.StringDelims) > 0 || a.AllowNonJSON
}

// object makes JSON of a call's arguments. What cannot be read is an empty
// object, or a string in the place of a value.
func (a *contentArgs) object(kind, raw string) string {
	switch kind {
	case "xml-inline":
		return a.tags(raw)
	case "kv-lines":
		return a.lines(raw)
	case "json":
		if text := a.json(raw); json.Valid([]byte(text)) {
			return text
		}
	}
	return raw
}

// json makes JSON of the dialect.
func (a *contentArgs) json(raw string) string {
	var texts []string
	for _, delims := range a.StringDelims {
		for {
			before, rest, found := strings.Cut(raw, delims[0])
			text, after, closed := strings.Cut(rest, delims[1])
			if !found || !closed {
				break
			}
			quoted, _ := json.Marshal(text)
			raw = fmt.Sprintf("%s\x01%d\x02%s", before, len(texts), after)
			texts = append(texts, string(quoted))
		}
	}
	if a.UnquotedKeys {
		raw = bareKey.ReplaceAllString(raw, `$1"$2":`)
	}
	for i, text := range texts {
		raw = strings.Replace(raw, fmt.Sprintf("\x01%d\x02", i), text, 1)
	}
	return raw
}

var bareKey = regexp.MustCompile(`([{,]\s*)([\p{L}\p{N}_]+):`)

// tags reads elements, each a member.
func (a *contentArgs) tags(raw string) string {
	var members members
	key, value := a.tag.SubexpIndex("key"), a.tag.SubexpIndex("value")
	for _, m := range a.tag.FindAllStringSubmatch(raw, -1) {
		members.add(m[key], a.value(m[value]), a.MergeDuplicates)
	}
	return members.String()
}

// lines reads lines, each a member.
func (a *contentArgs) lines(raw string) string {
	lineSep, kvSep := "\n", ":"
	if a.LineSep != nil && *a.LineSep != "" {
		lineSep = *a.LineSep
	}
	if a.KVSep != nil && *a.KVSep != "" {
		kvSep = *a.KVSep
	}
	var members members
	for _, line := range strings.Split(raw, lineSep) {
		if key, value, ok := strings.Cut(a.text(line), kvSep); ok {
			members.add(a.text(key), a.value(a.text(value)), false)
		}
	}
	return members.String()
}

func (a *contentArgs) text(s string) string {
	if a.Strip != nil && !*a.Strip {
		return s
	}
	return strings.TrimSpace(s)
}

// value is a member's value as JSON.
func (a *contentArgs) value(raw string) string {
	quoted, _ := json.Marshal(raw)
	if a.ValueParser == nil {
		return string(quoted)
	}
	args, text := &a.ValueParser.Args, strings.TrimSpace(raw)
	switch a.ValueParser.Name {
	case "xml-inline", "kv-lines":
		return args.object(a.ValueParser.Name, raw)
	case "bool":
		if text = strings.ToLower(text); text == "1" || text == "true" {
			return "true"
		}
		return "false"
	case "int", "float", "json":
		if args.dialect() {
			text = args.json(text)
		}
		if json.Valid([]byte(text)) {
			return text
		}
	case "text":
		quoted, _ = json.Marshal(args.text(raw))
	}
	return string(quoted)
}

// members are an object's, in the order of their first appearance.
type members struct {
	keys   []string
	values map[string][]string
	merged map[string]bool
}

// add puts a member in. One that is there already is replaced, or becomes a list.
func (m *members) add(key, value string, merge bool) {
	if m.values == nil {
		m.values, m.merged = map[string][]string{}, map[string]bool{}
	}
	switch old, known := m.values[key]; {
	case !known:
		m.keys = append(m.keys, key)
		m.values[key] = []string{value}
	case merge:
		m.values[key], m.merged[key] = append(old, value), true
	default:
		m.values[key] = []string{value}
	}
}

func (m *members) String() string {
	var out strings.Builder
	out.WriteByte('{')
	for i, key := range m.keys {
		if i > 0 {
			out.WriteByte(',')
		}
		name, _ := json.Marshal(key)
		value := m.values[key][0]
		if m.merged[key] {
			value = "[" + strings.Join(m.values[key], ",") + "]"
		}
		out.WriteString(string(name) + ":" + value)
	}
	out.WriteByte('}')
	return out.String()
}
