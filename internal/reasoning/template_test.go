package reasoning

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	"pgregory.net/rapid"
)

// templateCase is an answer and what transformers makes of it.
type templateCase struct {
	Open, Raw, Reasoning, Content string
	Calls                         []struct {
		Name      string
		Arguments any
	}
}

type templateCases struct {
	Template json.RawMessage
	Cases    []templateCase
}

// templates are those of testdata, by name.
var templates = sync.OnceValue(func() map[string]templateCases {
	data, err := os.ReadFile(filepath.Join(goldens, "response-template", "templates", "cases.json"))
	if err != nil {
		panic(err)
	}
	var file struct{ Templates map[string]templateCases }
	if err := json.Unmarshal(data, &file); err != nil {
		panic(err)
	}
	return file.Templates
})

func fromTemplate(tb testing.TB, name string) reasoning.Descriptor {
	tb.Helper()
	d, err := FromResponseTemplate(templates()[name].Template)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	d.Name = "template " + name
	return d
}

func TestTemplatesReadWhatTransformersReads(t *testing.T) {
	for name, file := range templates() {
		readsLikeTransformers(t, fromTemplate(t, name), file.Cases)
	}
}

// The formats that have a machine of their own too.
func TestFramingsReadWhatTransformersReads(t *testing.T) {
	for name, template := range map[string]string{"gpt-oss": "channels", "cohere-command3": "actions", "inkling": "blocks"} {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		readsLikeTransformers(t, d, templates()[template].Cases)
	}
}

func readsLikeTransformers(t *testing.T, d reasoning.Descriptor, cases []templateCase) {
	t.Helper()
	name := d.Name
	for _, c := range cases {
		open := reasoning.OpenNo
		if c.Open == "yes" {
			open = reasoning.OpenYes
		}
		p := d.New(reasoning.Start{Open: open, HasTools: true})
		segments := p.Close(p.Feed(nil, c.Raw))
		thought, content := fold(segments)
		if strings.TrimSpace(thought) != strings.TrimSpace(c.Reasoning) || strings.TrimSpace(content) != strings.TrimSpace(c.Content) {
			t.Errorf("%s: %q\n got %q | %q\nwant %q | %q", name, c.Raw, thought, content, c.Reasoning, c.Content)
		}
		calls := foldCalls(d, segments)
		if len(calls) != len(c.Calls) {
			t.Errorf("%s: %q: calls %q, %d are due", name, c.Raw, calls, len(c.Calls))
			continue
		}
		for i, call := range calls {
			var arguments any
			err := json.Unmarshal([]byte(call.Arguments), &arguments)
			if want := c.Calls[i]; err != nil || call.Name != want.Name || !reflect.DeepEqual(arguments, want.Arguments) {
				t.Errorf("%s: %q: call %q, want %v (%v)", name, c.Raw, call, want, err)
			}
		}
	}
}

// The laws that a template's parser can keep: text that its template calls
// markup is lost to it.
func TestTemplatesKeepTheLaws(t *testing.T) {
	word := regexp.MustCompile(`<[^<>\n]*>|\w+[ \n]|\s+`)
	for name, file := range templates() {
		d := fromTemplate(t, name)
		texts := []string{" ", "\n", "a", "<", "é", "思", "word ", "{}", "\x00"}
		for _, c := range file.Cases {
			for _, text := range word.FindAllString(c.Raw, -1) {
				texts = append(texts, text, text, text[:len(text)/2], text[:len(text)-1])
			}
			texts = append(texts, c.Raw)
			for _, s := range starts() {
				checkLaws(t, d, s, c.Raw, func(int) int { return 1 })
			}
		}
		start, piece := rapid.SampledFrom(starts()), rapid.SampledFrom(texts)
		rapid.Check(t, func(t *rapid.T) {
			s := start.Draw(t, "start")
			raw := strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "pieces"), "")
			checkLaws(t, d, s, raw, func(left int) int { return rapid.IntRange(1, left).Draw(t, "cut") })
			checkLaws(t, d, s, raw, func(int) int { return 1 })
		})
	}
}

func TestTemplatesTakeLinearTime(t *testing.T) {
	for name := range templates() {
		d := fromTemplate(t, name)
		for _, unit := range []string{"a", " ", "\n", "<", "<|", "<tool_call> ", "<|channel|>commentary to=functions.f"} {
			raw := strings.Repeat(unit, 1<<18/len(unit))
			p := d.New(reasoning.Start{Open: reasoning.OpenNo, HasTools: true})
			var segments []reasoning.Segment
			for i := 0; i < len(raw); i += 1 << 12 {
				segments = p.Feed(segments[:0], raw[i:min(i+1<<12, len(raw))])
			}
			p.Close(segments)
		}
	}
}

func TestTemplatesAreRefusedByName(t *testing.T) {
	for template, want := range map[string]string{
		`[]`:                          "response_template: ",
		`{"fields": {"content": {}}}`: "start_anchor",
		`{"start_anchor": "a"}`:       "fields",
		`{"start_anchor": "a", "version": 2, "fields": {"content": {}}}`:                                                  "version",
		`{"start_anchor": "a", "fields": {"content": {"opens": "x"}}}`:                                                    `fields.content: json: unknown field "opens"`,
		`{"start_anchor": "a", "fields": {"content": {"open": ""}}}`:                                                      "fields.content: an empty delimiter",
		`{"start_anchor": "a", "fields": {"content": {"open": 1}}}`:                                                       "fields.content: ",
		`{"start_anchor": "a", "fields": {"content": {"open": "a", "open_pattern": "b"}}}`:                                "open and open_pattern",
		`{"start_anchor": "a", "fields": {"content": {"open_pattern": "(?=x)"}}}`:                                         "fields.content: open_pattern: ",
		`{"start_anchor": "a", "fields": {"content": {"content": "yaml"}}}`:                                               `fields.content: content: "yaml"`,
		`{"start_anchor": "a", "fields": {"content": {}, "thinking": {}}}`:                                                "fields.thinking: only one",
		`{"start_anchor": "a", "fields": {"content": {"join": ""}}}`:                                                      "fields.content: join",
		`{"start_anchor": "a", "fields": {"tool_calls": {"open": "x", "content": "xml-inline"}}}`:                         "fields.tool_calls: content_args: tag_pattern",
		`{"start_anchor": "a", "fields": {"tool_calls": {"open": "x", "content_args": {"value_parser": {"name": "x"}}}}}`: "value_parser",
		`{"start_anchor": "a", "start_anchor_pattern": "a", "fields": {"content": {}}}`:                                   "start_anchor",
	} {
		if _, err := FromResponseTemplate([]byte(template)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", template, err, want)
		}
	}
}

func TestTokenizersTemplate(t *testing.T) {
	config := `{"chat_template": "", "response_template": ` + string(templates()["actions"].Template) + `}`
	d, err := FromTokenizerConfig([]byte(config))
	if err != nil || !reflect.DeepEqual(d.Opens, []string{"<|START_THINKING|>"}) || !d.Tools {
		t.Errorf("%+v, %v", d, err)
	}
	for _, config := range []string{`{}`, `{"response_template": null}`, `{"response_schema": {"x-regex": "a"}}`} {
		if _, err := FromTokenizerConfig([]byte(config)); !errors.Is(err, ErrNoResponseTemplate) {
			t.Errorf("%s: %v", config, err)
		}
	}
	if _, err := FromTokenizerConfig([]byte(`{`)); err == nil || errors.Is(err, ErrNoResponseTemplate) {
		t.Errorf("half a file: %v", err)
	}
}

// Where a template does not say what a call's name is, its text goes on to
// whoever reads calls in content.
func TestCallsOfAnotherShapeAreContent(t *testing.T) {
	d, err := FromResponseTemplate([]byte(`{"start_anchor": "a", "fields": {
		"tool_calls": {"open": "<c>", "close": "</c>", "repeats": true}, "content": {}}}`))
	if err != nil || d.Tools {
		t.Fatal(d.Tools, err)
	}
	for tools, want := range map[bool]string{true: "a <c>f(1)</c>", false: "a "} {
		p := d.New(reasoning.Start{Open: reasoning.OpenNo, HasTools: tools})
		if _, content := fold(p.Close(p.Feed(nil, "a <c>f(1)</c>"))); content != want {
			t.Errorf("tools %v: %q", tools, content)
		}
	}
}

func BenchmarkTemplates(b *testing.B) {
	text := strings.Repeat("Let me see: 2 < 3, so the next step is\nto add **both** numbers.\n\n", 1<<12)
	for name := range templates() {
		d := fromTemplate(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var segments []reasoning.Segment
			for b.Loop() {
				p := d.New(reasoning.Start{Open: reasoning.OpenYes, HasTools: true})
				for i := 0; i < len(text); i += 4 {
					segments = p.Feed(segments[:0], text[i:i+4])
				}
			}
		})
	}
}
