package reasoning

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
)

const goldens = "../../testdata/reasoning"

// golden is a case of testdata/reasoning: its README.md says what it means.
type golden struct {
	parser string
	Name   string
	Start  struct {
		Open     string
		Effort   string
		Switches map[string]bool
		Tools    bool
		Tokens   []string // null: the vocabulary is not known
	}
	Raw, Reasoning, Content string
	Calls                   []call // of formats that carry tool calls themselves
}

func (g *golden) start() reasoning.Start {
	open := map[string]reasoning.Open{"yes": reasoning.OpenYes, "no": reasoning.OpenNo, "": reasoning.OpenUnknown}
	s := reasoning.Start{
		Open: open[g.Start.Open], Effort: g.Start.Effort, Switches: g.Start.Switches, HasTools: g.Start.Tools,
	}
	if tokens := g.Start.Tokens; tokens != nil {
		s.Token = func(text string) bool { return slices.Contains(tokens, text) }
	}
	return s
}

// readGoldens reads every case of every parser, by parser.
func readGoldens(tb testing.TB) map[string][]golden {
	tb.Helper()
	cases := map[string][]golden{}
	files, err := filepath.Glob(filepath.Join(goldens, "*", "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no goldens in %s: %v", goldens, err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		var file struct {
			Source string
			Cases  []golden
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&file); err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		if file.Source == "" || len(file.Cases) == 0 {
			tb.Errorf("%s: a golden file names its source and has cases", path)
		}
		parser := filepath.Base(filepath.Dir(path))
		for _, g := range file.Cases {
			if !slices.Contains([]string{"", "yes", "no"}, g.Start.Open) {
				tb.Errorf("%s: %s: open is %q", path, g.Name, g.Start.Open)
			}
			g.parser = parser
			cases[parser] = append(cases[parser], g)
		}
	}
	return cases
}

func TestGoldens(t *testing.T) {
	for name, cases := range readGoldens(t) {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Errorf("goldens without a parser: %v", err)
			continue
		}
		for _, g := range cases {
			t.Run(name+"/"+g.Name, func(t *testing.T) {
				p := d.New(g.start())
				segments := p.Close(p.Feed(nil, g.Raw))
				thought, content := fold(segments)
				if thought != g.Reasoning || content != g.Content {
					t.Errorf("%q\n got %q | %q\nwant %q | %q", g.Raw, thought, content, g.Reasoning, g.Content)
				}
				if calls := foldCalls(d, segments); !slices.Equal(calls, g.Calls) {
					t.Errorf("%q\n got calls %q\nwant %q", g.Raw, calls, g.Calls)
				}
			})
		}
	}
}

func TestEveryParserHasGoldens(t *testing.T) {
	cases := readGoldens(t)
	for _, name := range reasoning.Names() {
		if len(cases[name]) < 5 {
			t.Errorf("parser %q has %d golden cases in %s/%s, at least 5 are due", name, len(cases[name]), goldens, name)
		}
	}
}

// fold joins the segments' texts by kind.
func fold(segments []reasoning.Segment) (thought, content string) {
	for _, s := range segments {
		switch s.Kind {
		case reasoning.Reasoning:
			thought += s.Text
		case reasoning.Content:
			content += s.Text
		}
	}
	return thought, content
}
