package bundle

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/prompt"
	builtin "github.com/reasond/reasond/internal/reasoning"
	"github.com/reasond/reasond/internal/weights"
	tinyreasoner "github.com/reasond/reasond/testdata/tiny-reasoner"
)

// folder is the embedded model without its weights, under a name, with files
// replaced ("": left out).
func folder(t *testing.T, name string, files map[string]string) *weights.Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} {
		data, err := tinyreasoner.FS.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if other, replaced := files[file]; replaced {
			data = []byte(other)
		}
		if len(data) > 0 {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return &weights.Model{Path: dir, FS: os.DirFS(dir)}
}

func parserOf(t *testing.T, name string, src *weights.Model) (string, error, error) {
	t.Helper()
	text, err := openSide("", name, src)
	if err != nil {
		return "", nil, err
	}
	defer text.close()
	if text.parser == nil {
		return "", text.noParser, nil
	}
	return text.parser.Name, text.noParser, nil
}

func TestTheParserIsWhatTheModelShowsWhateverItIsCalled(t *testing.T) {
	for _, name := range []string{"tiny-reasoner", "gpt-oss-120b", "DeepSeek-R1-Distill", "kimi-k2-thinking"} {
		for _, ask := range []string{"", AutoParser} {
			if got, why, err := parserOf(t, ask, folder(t, name, nil)); got != "qwen3" || why != nil || err != nil {
				t.Errorf("a folder %s, parser %q: %q, %v, %v", name, ask, got, why, err)
			}
		}
	}
}

const plainTemplate = `{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}<|im_start|>assistant: `

// What shows no parser has none if nothing was asked for, and is refused in one
// line if auto was.
func TestAModelThatShowsNoParserHasNone(t *testing.T) {
	config, err := tinyreasoner.FS.ReadFile("tokenizer_config.json")
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(config, &members); err != nil {
		t.Fatal(err)
	}
	members["response_template"] = json.RawMessage(`{"fields":{}}`)
	broken, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file, content, want string
	}{
		{"no reasoning", "chat_template.jinja", plainTemplate, "knows no reasoning"},
		{"unknown tags", "chat_template.jinja", plainTemplate + "{% if thinking %}<thought>{% endif %}", "no known form"},
		{"a broken response template", "tokenizer_config.json", string(broken), "response_template"},
		{
			"tags that the template turns around", "chat_template.jinja",
			`{% for m in messages %}<|im_start|>{{ m.role }}: {% if m.reasoning_content %}</think>{{ m.reasoning_content }}<think>{% endif %}{{ m.content }}<|im_end|>{% endfor %}` +
				`{% if add_generation_prompt %}<|im_start|>assistant: {% if enable_thinking %}{% endif %}{% endif %}`, "does not fit",
		},
		{
			"a thought behind the answer", "chat_template.jinja",
			`{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{{ m.content }}{% endif %}<|im_end|>{% endfor %}` +
				`{% if add_generation_prompt %}<|im_start|>assistant: {% if enable_thinking %}{% endif %}{% endif %}`, "does not fit",
		},
	} {
		src := folder(t, "model", map[string]string{c.file: c.content})
		got, why, err := parserOf(t, "", src)
		if got != "" || why == nil || err != nil || !strings.Contains(why.Error(), c.want) {
			t.Errorf("%s: %q, %v, %v; want %q", c.name, got, why, err, c.want)
		}
		if _, _, err := parserOf(t, AutoParser, src); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s, auto: %v", c.name, err)
		}
		if got, why, err := parserOf(t, NoParser, src); got != "" || why != nil || err != nil {
			t.Errorf("%s, none: %q, %v, %v", c.name, got, why, err)
		}
		if got, why, err := parserOf(t, "deepseek-r1", src); got != "deepseek-r1" || why != nil || err != nil {
			t.Errorf("%s, named: %q, %v, %v", c.name, got, why, err)
		}
	}
}

// Each published template passes the trial with the parser that it shows, and
// where it writes past thoughts it fails with one of other tags.
func TestTheTrialConfirmsTheRightParserAndNoOther(t *testing.T) {
	const templates = "../../../shared/chat-templates/templates/"
	if _, err := os.Stat(templates); err != nil {
		t.Skip("no folder of chat templates beside the repository")
	}
	data, err := os.ReadFile("../../testdata/reasoning/detect.json")
	if err != nil {
		t.Fatal(err)
	}
	var shown map[string]string
	if err := json.Unmarshal(data, &shown); err != nil {
		t.Fatal(err)
	}
	// Those that print a message's reasoning where a prompt goes on to it.
	writes := map[string]bool{"GLM-4.6": true, "MiniMax-M2": true, "Qwen-Qwen3-0.6B": true, "StepFun3.5-Flash": true, "openai-gpt-oss-120b": true, "deepseek-ai-DeepSeek-V3.2": true}
	for name, right := range shown {
		if right == "" {
			continue
		}
		source, err := os.ReadFile(templates + name + ".jinja")
		if err != nil {
			t.Fatal(err)
		}
		r, err := prompt.NewRenderer(prompt.Config{Templates: prompt.Templates{Default: string(source)}, Tokens: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, parser := range reasoning.Names() {
			d, err := reasoning.Lookup(parser)
			if err != nil {
				t.Fatal(err)
			}
			err = try(r, d)
			if parser == right && err != nil {
				t.Errorf("%s with %s: %v", name, parser, err)
			}
			if other := !sameTags(d, right); other && writes[name] && err == nil {
				t.Errorf("%s passes with %s", name, parser)
			}
		}
		r.Close()
	}
}

func sameTags(d reasoning.Descriptor, name string) bool {
	other, err := reasoning.Lookup(name)
	if err != nil {
		return false
	}
	for _, tag := range d.Opens {
		for _, o := range other.Opens {
			if tag == o {
				return true
			}
		}
	}
	return false
}

// A model's own response template comes before what its chat template shows, if
// the two fit.
func TestAResponseTemplateIsTheParser(t *testing.T) {
	const fields = `"fields":{"thinking":{"open":"%","close":"</%"},"content":{"close":"<|im_end|>"}}`
	for tag, want := range map[string]string{"<think>": "response-template", "<muse>": "does not fit"} {
		template := `{"start_anchor":"<|im_start|>assistant\n",` + strings.NewReplacer("</%", "</"+tag[1:], "%", tag).Replace(fields) + `}`
		src := folder(t, "m", map[string]string{"tokenizer_config.json": `{"response_template":` + template + `}`})
		got, why, err := parserOf(t, "", src)
		if err != nil || got != want && (why == nil || !strings.Contains(why.Error(), want)) {
			t.Errorf("%s: %q, %v, %v; want %q", tag, got, why, err, want)
		}
	}
	if _, err := responseTemplate(folder(t, "m", nil)); !errors.Is(err, builtin.ErrNoResponseTemplate) {
		t.Errorf("a model without: %v", err)
	}
}

// What the trial would see in parsers that are wrong in one way each.
func TestTheTrialSeesWhatIsWrong(t *testing.T) {
	const asked = `{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}<|im_start|>assistant: `
	lookup := func(name string) reasoning.Descriptor {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	qwen3, kimi, always := lookup("qwen3"), lookup("kimi"), lookup("qwen3-thinking")
	for _, c := range []struct {
		name, template string
		wrong          func(reasoning.Start) reasoning.Parser
	}{
		{"does not know its own markers", asked + "<think>", kimi.New},
		{"thinks though no thought is open", asked, func(reasoning.Start) reasoning.Parser { return always.New(reasoning.Start{Open: reasoning.OpenYes}) }},
		{"does not think though one is open", asked + "<think>", func(reasoning.Start) reasoning.Parser { return qwen3.New(reasoning.Start{Open: reasoning.OpenNo}) }},
		{"loses content", asked, func(s reasoning.Start) reasoning.Parser { return deaf{qwen3.New(s)} }},
	} {
		r, err := prompt.NewRenderer(prompt.Config{Templates: prompt.Templates{Default: c.template}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := try(r, qwen3); err != nil {
			t.Errorf("%s: the right one fails: %v", c.name, err)
		}
		d := qwen3
		d.New = c.wrong
		if err := try(r, d); err == nil {
			t.Errorf("a parser that %s passes", c.name)
		}
	}
}

// deaf is a parser that leaves content out.
type deaf struct{ reasoning.Parser }

func (p deaf) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	for _, s := range p.Parser.Feed(nil, text) {
		if s.Kind == reasoning.Reasoning {
			dst = append(dst, s)
		}
	}
	return dst
}
