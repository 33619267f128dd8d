package reasoning

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/reasond/reasond/api/reasoning"
)

// plugin is a parser described in a file: a row of the tag table, or a response
// template under a name.
type plugin struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	Doc     string   `json:"doc"`

	Open  string       `json:"open"`  // the marker that begins a thought
	Close string       `json:"close"` // and the one that ends it
	Tags  []pluginTags `json:"tags"`  // in their place: pairs that stand for each other
	Label string       `json:"label"` // may follow the opening marker, and is dropped with it

	Start    string   `json:"start"`    // the first state where the prompt is not known
	Switches []string `json:"switches"` // further names of the switch that start asks

	ToolMarkers []string `json:"tool_markers"` // end a thought where the request has tools
	ToolEnd     string   `json:"tool_end"`     // goes back to the thought

	Answer     *pluginTags `json:"answer"`      // around the answer
	LineBreaks string      `json:"line_breaks"` // behind a closing marker: keep or drop
	Blocks     bool        `json:"blocks"`      // thoughts anywhere in the answer
	Stray      bool        `json:"stray_close"` // a closing marker at the start is dropped

	Template json.RawMessage `json:"response_template"`
}

type pluginTags struct {
	Open  string `json:"open"`
	Close string `json:"close"`
}

// pluginStarts are the values of plugin.Start.
var pluginStarts = map[string]func(reasoning.Start) bool{
	"always": always, "unless-off": unlessOff, "if-on": ifOn, "never": never,
}

// pluginName is what a parser may be called.
var pluginName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// FromFile makes a parser of a description in YAML or JSON, as
// docs/adding-a-parser.md explains it. The descriptor is not registered. An
// error names the field that it is about.
func FromFile(data []byte) (reasoning.Descriptor, error) {
	p, err := readPlugin(data)
	if err != nil {
		return reasoning.Descriptor{}, fmt.Errorf("reasoning parser file: %w", err)
	}
	d, err := p.descriptor()
	if err != nil {
		return reasoning.Descriptor{}, fmt.Errorf("reasoning parser file: %w", err)
	}
	return d, nil
}

// fileParsers are the names registered by RegisterFile, with their files.
var fileParsers struct {
	sync.Mutex
	files map[string]string
}

// RegisterFile registers the parser that a file describes. The same file may
// come again; a name that is another parser's is an error.
func RegisterFile(data []byte) error {
	d, err := FromFile(data)
	if err != nil {
		return err
	}
	fileParsers.Lock()
	defer fileParsers.Unlock()
	if fileParsers.files[d.Name] == string(data) {
		return nil
	}
	names := map[string]bool{}
	for _, name := range append([]string{d.Name}, d.Aliases...) {
		key := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if _, err := reasoning.Lookup(name); err == nil || names[key] {
			return fmt.Errorf("reasoning parser file: the name %s is taken", name)
		}
		names[key] = true
	}
	if fileParsers.files == nil {
		fileParsers.files = map[string]string{}
	}
	fileParsers.files[d.Name] = string(data)
	reasoning.Register(d)
	return nil
}

// readPlugin reads YAML by way of JSON, whose reader names the field at fault.
func readPlugin(data []byte) (*plugin, error) {
	var tree any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, errors.New(yaml.FormatError(err, false, false))
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	p := &plugin{}
	var kind *json.UnmarshalTypeError
	switch err := strict(text, p); {
	case errors.As(err, &kind) && kind.Field == "":
		return nil, fmt.Errorf("it is a %s, not fields and their values", kind.Value)
	case errors.As(err, &kind):
		return nil, fmt.Errorf("%s: a %s is not what it takes", kind.Field, kind.Value)
	case err != nil:
		return nil, err
	}
	return p, nil
}

func (p *plugin) descriptor() (reasoning.Descriptor, error) {
	for i, name := range append([]string{p.Name}, p.Aliases...) {
		if !pluginName.MatchString(strings.ToLower(name)) {
			field := "name"
			if i > 0 {
				field = fmt.Sprintf("aliases[%d]", i-1)
			}
			return reasoning.Descriptor{}, fmt.Errorf("%s: %q is no name: letters, digits, -, _ and . are due", field, name)
		}
	}
	if p.Template != nil {
		return p.fromTemplate()
	}
	f, err := p.format()
	if err != nil {
		return reasoning.Descriptor{}, err
	}
	return f.descriptor()
}

// fromTemplate is the parser of a file that has nothing but a template.
func (p *plugin) fromTemplate() (reasoning.Descriptor, error) {
	switch {
	case p.Open != "" || p.Close != "" || len(p.Tags) > 0:
		return reasoning.Descriptor{}, errors.New("response_template: it has the markers, open, close and tags are for files without one")
	case p.Start != "" || len(p.Switches) > 0:
		return reasoning.Descriptor{}, errors.New("response_template: start and switches are for files without one")
	case len(p.ToolMarkers) > 0 || p.ToolEnd != "" || p.Answer != nil || p.Blocks || p.Stray || p.LineBreaks != "" || p.Label != "":
		return reasoning.Descriptor{}, errors.New("response_template: nothing but name, aliases and doc may stand beside it")
	}
	d, err := FromResponseTemplate(p.Template)
	if err != nil {
		return d, err
	}
	d.Name, d.Aliases = p.Name, p.Aliases
	if p.Doc != "" {
		d.Doc = p.Doc
	}
	return d, nil
}

// format is the row that the file describes.
func (p *plugin) format() (*format, error) {
	f := &format{
		name: p.Name, aliases: p.Aliases, doc: p.Doc, label: p.Label,
		tools: p.ToolMarkers, toolEnd: p.ToolEnd, blocks: p.Blocks, stray: p.Stray,
	}
	switch {
	case len(p.Tags) > 0 && (p.Open != "" || p.Close != ""):
		return nil, errors.New("tags: they stand in the place of open and close")
	case len(p.Tags) == 0:
		p.Tags = []pluginTags{{p.Open, p.Close}}
		if p.Open == "" {
			return nil, errors.New("open: the marker that begins a thought is due")
		}
		if p.Close == "" {
			return nil, errors.New("close: the marker that ends a thought is due")
		}
	}
	for i, t := range p.Tags {
		if t.Open == "" || t.Close == "" {
			return nil, fmt.Errorf("tags[%d]: open and close are due", i)
		}
		f.tags = append(f.tags, tag{t.Open, t.Close})
	}
	if i := slices.Index(p.ToolMarkers, ""); i >= 0 {
		return nil, fmt.Errorf("tool_markers[%d]: it is empty", i)
	}
	if p.ToolEnd != "" && len(p.ToolMarkers) == 0 {
		return nil, errors.New("tool_end: there are no tool_markers that it could end")
	}
	if p.Answer != nil {
		if p.Answer.Open == "" || p.Answer.Close == "" {
			return nil, errors.New("answer: open and close are due")
		}
		f.answer = tag{p.Answer.Open, p.Answer.Close}
	}
	switch p.LineBreaks {
	case "", "keep":
	case "drop":
		f.feed = true
	default:
		return nil, fmt.Errorf("line_breaks: %q is neither keep nor drop", p.LineBreaks)
	}
	rule, known := pluginStarts[p.Start]
	if !known {
		return nil, fmt.Errorf("start: %q is none of always, unless-off, if-on, never", p.Start)
	}
	if i := slices.Index(p.Switches, ""); i >= 0 {
		return nil, fmt.Errorf("switches[%d]: it is empty", i)
	}
	if len(p.Switches) > 0 && (p.Start == "always" || p.Start == "never") {
		return nil, fmt.Errorf("switches: start %q asks no switch", p.Start)
	}
	f.thinks = switched(p.Switches, rule)
	return f, nil
}

// switched is a start rule that asks further switches first.
func switched(names []string, rule func(reasoning.Start) bool) func(reasoning.Start) bool {
	return func(s reasoning.Start) bool {
		for _, name := range names {
			if on, given := s.Switches[name]; given {
				return on
			}
		}
		return rule(s)
	}
}
