package reasoning

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/reasond/reasond/api/reasoning"
)

const examples = "../../docs/examples/parser-file"

func fromExample(t *testing.T, file string) reasoning.Descriptor {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(examples, file))
	if err != nil {
		t.Fatal(err)
	}
	d, err := FromFile(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestExampleOfAParserFile(t *testing.T) {
	d := fromExample(t, "parser.yaml")
	if d.Name != "musing" || !reflect.DeepEqual(d.Opens, []string{"[musing]"}) || !reflect.DeepEqual(d.Closes, []string{"[/musing]"}) || d.MaxHold != 8 {
		t.Errorf("%+v", d)
	}
	for _, c := range []struct {
		start            reasoning.Start
		raw              string
		thought, content string
	}{
		{reasoning.Start{}, "a[/musing] b", "a", " b"},
		{reasoning.Start{Open: reasoning.OpenNo}, "[musing]a[/musing] b", "a", " b"},
		{reasoning.Start{Switches: map[string]bool{"musing": false}}, "b", "", "b"},
		{reasoning.Start{Switches: map[string]bool{"thinking": false}}, "b", "", "b"},
		{reasoning.Start{Switches: map[string]bool{"thinking": false, "musing": true}}, "a", "a", ""},
		{reasoning.Start{Open: reasoning.OpenYes, HasTools: true}, "a\n[call]f", "a\n", "[call]f"},
	} {
		for size := 1; size <= len(c.raw); size++ {
			p := d.New(c.start)
			var segments []reasoning.Segment
			for i := 0; i < len(c.raw); i += size {
				segments = p.Feed(segments, c.raw[i:min(i+size, len(c.raw))])
			}
			if thought, content := fold(p.Close(segments)); thought != c.thought || content != c.content {
				t.Errorf("%q in parts of %d: %q | %q, want %q | %q", c.raw, size, thought, content, c.thought, c.content)
			}
		}
	}
}

func TestExampleOfATemplateFile(t *testing.T) {
	d := fromExample(t, "template.yaml")
	p := d.New(reasoning.Start{Open: reasoning.OpenNo, HasTools: true})
	segments := p.Close(p.Feed(nil, `[musing]a[/musing] b [call f]{"x": 1}[/call]`))
	thought, content := fold(segments)
	calls := foldCalls(d, segments)
	if d.Name != "musing-template" || thought != "a" || content != " b " || !reflect.DeepEqual(calls, []call{{"f", `{"x": 1}`}}) {
		t.Errorf("%s: %q | %q, %q", d.Name, thought, content, calls)
	}
}

// A file in JSON is the same file.
func TestParserFilesMayBeJSON(t *testing.T) {
	for _, file := range []string{"parser.yaml", "template.yaml"} {
		data, err := os.ReadFile(filepath.Join(examples, file))
		if err != nil {
			t.Fatal(err)
		}
		var any any
		if err := yaml.Unmarshal(data, &any); err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(any, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		d, err := FromFile(text)
		if want := fromExample(t, file); err != nil || d.Name != want.Name || d.MaxHold != want.MaxHold || !reflect.DeepEqual(d.Opens, want.Opens) {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
}

func TestParserFilesAreRefusedByField(t *testing.T) {
	const good = "name: x\nopen: <a>\nclose: </a>\nstart: always\n"
	if _, err := FromFile([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"":                                               "name",
		"name: [":                                        "1:7",
		"- a":                                            "array",
		good + "opens: <b>\n":                            `unknown field "opens"`,
		good + "blocks: maybe\n":                         "blocks: a string",
		good + "aliases: x\n":                            "aliases: a string",
		good + "line_breaks: eat\n":                      "line_breaks: \"eat\"",
		good + "switches: [a]\n":                         "switches: start \"always\"",
		good + "tool_end: </c>\n":                        "tool_end",
		good + "tool_markers: [<c>, \"\"]\n":             "tool_markers[1]",
		good + "tool_markers: [\"<a>b\"]\n":              `marker "<a>" begins marker "<a>b"`,
		good + "answer: {open: <r>}\n":                   "answer",
		good + "aliases: [\"a b\"]\n":                    "aliases[0]",
		good + "tags: [{open: a, close: b}]":             "tags",
		good + "response_template: {}":                   "response_template: it has the markers",
		"open: <a>\nclose: </a>\n":                       "name",
		"name: x\nclose: </a>\n":                         "open",
		"name: x\nopen: <a>\n":                           "close",
		"name: x\nopen: <a>\nclose: </a>\n":              "start",
		"name: x\ntags: [{open: a}]\n":                   "tags[0]",
		"name: x\nopen: a\nclose: b\nstart: sometimes\n": `start: "sometimes"`,
		"name: x\nresponse_template: {start_anchor: a, fields: {}}\n": "response_template: fields",
		"name: x\nstart: always\nresponse_template: {a: b}\n":         "response_template: start",
		"name: x\nblocks: true\nresponse_template: {a: b}\n":          "response_template: nothing but",
	} {
		if _, err := FromFile([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
	}
}

// FuzzParserFiles: no file makes the reading of it fail but by an error, and
// what it accepts can be used.
func FuzzParserFiles(f *testing.F) {
	for _, file := range []string{"parser.yaml", "template.yaml"} {
		data, err := os.ReadFile(filepath.Join(examples, file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "[musing]a[/musing]b")
	}
	f.Fuzz(func(t *testing.T, data []byte, raw string) {
		d, err := FromFile(data)
		if err != nil {
			return
		}
		whole, bytes := d.New(reasoning.Start{HasTools: true}), d.New(reasoning.Start{HasTools: true})
		want := folded(whole.Close(whole.Feed(nil, raw)))
		var got []reasoning.Segment
		for i := range len(raw) {
			got = bytes.Feed(got, raw[i:i+1])
		}
		if got = folded(bytes.Close(got)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q\n in parts %+v\n at once  %+v", data, raw, got, want)
		}
	})
}

// The page shows the examples as they stand in their files.
func TestThePageShowsTheExamples(t *testing.T) {
	page, err := os.ReadFile("../../docs/adding-a-parser.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"parser.yaml", "template.yaml"} {
		data, err := os.ReadFile(filepath.Join(examples, file))
		if err != nil {
			t.Fatal(err)
		}
		_, shown, _ := strings.Cut(string(data), "\nname:")
		if !strings.Contains(string(page), "```yaml\nname:"+shown+"```") {
			t.Errorf("docs/adding-a-parser.md does not show %s as it is", file)
		}
	}
}
