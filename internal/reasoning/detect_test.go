package reasoning

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
)

// What chat templates show: written by hand from the models' own descriptions.
// The templates lie beside the repository; "" is a model that does not reason,
// or a format that is none of ours.
func TestPublishedTemplatesShowTheirParser(t *testing.T) {
	const folder = "../../../shared/chat-templates/templates"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("no folder of chat templates beside the repository")
	}
	want := detected(t)
	files, err := filepath.Glob(folder + "/*.jinja")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d templates, %d expected: %v", len(files), len(want), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jinja")
		expected, listed := want[name]
		source, err := os.ReadFile(file)
		if err != nil || !listed {
			t.Errorf("%s: %v, listed: %t", name, err, listed)
			continue
		}
		got, err := Detect(Brought{Template: string(source)})
		if got != expected || (err == nil) != (got != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, expected)
		}
	}
}

func detected(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../testdata/reasoning/detect.json")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

// Every parser that templates can show is one, and what shows it is not also
// what shows another.
func TestSignsAreOfParsersAndOfOneEach(t *testing.T) {
	for _, s := range signs {
		d, err := reasoning.Lookup(s.parser)
		if err != nil || d.Name != s.parser {
			t.Errorf("%s is called %q: %v", s.parser, d.Name, err)
		}
		got, err := Detect(Brought{Template: strings.Join(s.has, " ")})
		if err != nil || got != s.parser {
			t.Errorf("%q shows %q, %v; it is a sign of %s", s.has, got, err, s.parser)
		}
	}
}

func TestOnlyWhatTheTemplateWritesCounts(t *testing.T) {
	const qwen3 = `{{ '<|im_start|>assistant\n' }}{% if enable_thinking is false %}<think>\n\n</think>{% endif %}{{ m.reasoning_content }}`
	for _, c := range []struct{ name, template, token, want, err string }{
		{"qwen3", qwen3, "", "qwen3", ""},
		{"nothing", `{{ '<|im_start|>' }}`, "", "", "no reasoning"},
		{"no template", "", "", "", "no reasoning"},
		{"a comment", `{# <|im_start|> <think> </think> enable_thinking #}{{ '<|im_start|>' }}`, "", "", "no reasoning"},
		{"other tags", `{{ '<|im_start|>' }}<thinking></thinking>`, "", "", "no known form"},
		{"another framing", `{{ '<|turn|>' }}<think></think>{{ enable_thinking }}`, "", "", "no known form"},
		{"an answer in tags", qwen3 + `<answer></answer>`, "", "", "no known form"},
		{"two forms", qwen3 + `<seed:think></seed:think>`, "", "", "several reasoning parsers: seed-oss, qwen3"},
		{"a token", `{{ '<|im_middle|>' }}`, "◁think▷", "kimi", ""},
		{"a token that says nothing", `{{ '<|im_start|>' }}`, "<think>", "", "no reasoning"},
	} {
		b := Brought{Template: c.template}
		if c.token != "" {
			b.Tokens = []string{c.token}
		}
		got, err := Detect(b)
		if got != c.want || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && err != nil {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, got, err, c.want, c.err)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || errors.Is(err, ErrNoThought) != (c.err == "no reasoning")) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The templates that are refused are those of models which do not reason, and
// of formats that no parser takes; every other form has its line.
func TestDetectedParsersAreKnown(t *testing.T) {
	for _, name := range slices.Sorted(maps.Values(detected(t))) {
		if name == "" {
			continue
		}
		if d, err := reasoning.Lookup(name); err != nil || d.Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
