package prompt

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/native"
)

// The published chat templates and what Python's jinja2 makes of them lie beside
// the repository.
const chatTemplates = "../../../shared/chat-templates"

// known are the cases that differ from Python, with the reason.
var known = map[string]string{}

// changed are the cases in which normalisation changes the prompt, as it should.
var changed = map[string]string{
	"openai-gpt-oss-120b tool_result":         "reads \"thinking\"",
	"upstage-Solar-Open-100B tool_result":     "reads \"reasoning\"",
	"GLM-4.6 tool_result_null_content":        "prints None for null",
	"MiniMax-M2 tool_result_null_content":     "prints None for null",
	"lenml-llama3_1 tool_result_null_content": "prints None for null",
}

type conversation map[string]json.RawMessage

// input is a conversation as an Input: what is no field of it is a variable.
func (c conversation) input() Input {
	in := Input{Messages: c["messages"], Tools: c["tools"], Kwargs: map[string]json.RawMessage{}}
	in.AddGenerationPrompt = string(c["add_generation_prompt"]) == "true"
	in.Now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for name, value := range c {
		if name != "messages" && name != "tools" && name != "add_generation_prompt" {
			in.Kwargs[name] = value
		}
	}
	return in
}

type published struct {
	conversations map[string]conversation
	rendered      map[string]map[string]struct {
		OK  *string `json:"ok"`
		Err string  `json:"err"`
	}
}

func readPublished(t *testing.T) (p published) {
	t.Helper()
	if _, err := os.Stat(chatTemplates); err != nil {
		t.Skip("no folder of chat templates beside the repository")
	}
	readJSON(t, filepath.Join(chatTemplates, "conversations.json"), &p.conversations)
	readJSON(t, filepath.Join(chatTemplates, "rendered.json"), &p.rendered)
	return p
}

func (p published) renderer(t *testing.T, name string) *Renderer {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(chatTemplates, "templates", name+".jinja"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRenderer(Config{
		Templates: Templates{Default: string(source)},
		Tokens:    map[string]string{"bos_token": "<BOS>", "eos_token": "<EOS>"},
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestPublishedTemplatesRenderAsInPython(t *testing.T) {
	p := readPublished(t)
	for name, wants := range p.rendered {
		r := p.renderer(t, name)
		for conversation, want := range wants {
			in := p.conversations[conversation].input()
			in.AsIs = true
			got, err := r.Render(in)
			same := (err != nil && want.OK == nil) || (err == nil && want.OK != nil && got.Text == *want.OK)
			if reason, differs := known[name+" "+conversation]; differs == same {
				t.Errorf("%s, %s: same as Python: %v (known to differ: %q)\n got %.300q, %v\nwant %.300q, %s",
					name, conversation, same, reason, got.Text, err, deref(want.OK), want.Err)
			}
		}
	}
}

// What clients send in their own way reads as if they had sent what templates
// expect; what they send as expected is not touched.
func TestNormalisationKeepsWhatTemplatesExpect(t *testing.T) {
	p := readPublished(t)
	for name, wants := range p.rendered {
		r := p.renderer(t, name)
		for conversation, want := range wants {
			if want.OK == nil || conversation == "parts" || conversation == "tool_args_string" {
				continue
			}
			if got, err := r.Render(p.conversations[conversation].input()); err != nil || (got.Text == *want.OK) == (changed[name+" "+conversation] != "") {
				t.Errorf("%s, %s:\n got %q, %v\nwant %q", name, conversation, got.Text, err, *want.OK)
			}
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

const tinyReasoner = "../../testdata/tiny-reasoner"

func tinyRenderer(t testing.TB) *Renderer {
	t.Helper()
	folder := os.DirFS(tinyReasoner)
	templates, err := ReadTemplates(folder)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(tinyReasoner, "tokenizer_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var added struct {
		Tokens map[string]Token `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(config, &added); err != nil {
		t.Fatal(err)
	}
	var tokens []Token
	for _, token := range added.Tokens {
		tokens = append(tokens, token)
	}
	variables, err := ParseTokens(config)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRenderer(Config{Templates: templates, Tokens: variables, Control: ControlTokens(tokens, templates)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestTinyReasonerPromptsAreThoseOfTransformers(t *testing.T) {
	var golden struct {
		Cases []struct {
			Name, Prompt string
			Messages     json.RawMessage
			Kwargs       map[string]json.RawMessage
		}
	}
	readJSON(t, filepath.Join(tinyReasoner, "golden.json"), &golden)
	r := tinyRenderer(t)
	for _, c := range golden.Cases {
		in := Input{Messages: c.Messages, Tools: c.Kwargs["tools"], Kwargs: c.Kwargs, AddGenerationPrompt: true}
		delete(in.Kwargs, "tools")
		got, err := r.Render(in)
		if err != nil || got.Text != c.Prompt || len(got.Spans) > 0 {
			t.Errorf("%s: got %q, %v, %v; want %q", c.Name, got.Text, got.Spans, err, c.Prompt)
		}
	}
	if len(golden.Cases) == 0 || bytes.Equal(golden.Cases[0].Messages, nil) {
		t.Fatal("no cases")
	}
}

func tinyTokenizer(t testing.TB) *native.Tokenizer {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tinyReasoner, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := native.NewTokenizer(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tokenizer.Close() })
	return tokenizer
}
