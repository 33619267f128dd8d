package pipeline_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/prompt"
)

func options(t *testing.T, text string) map[string]json.RawMessage {
	t.Helper()
	if text == "" {
		return nil
	}
	var kwargs map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &kwargs); err != nil {
		t.Fatal(err)
	}
	return kwargs
}

// What a request says beats what the model's defaults say, its template options
// beat its fields, and all spellings mean the same to a template that knows one.
func TestTheFirstThatSaysAnythingDecidesAboutThinking(t *testing.T) {
	on, off := true, false
	for _, c := range []struct {
		name, defaults, kwargs string
		think                  *bool
		effort                 string
		thinks                 bool
	}{
		{name: "nothing", thinks: true},
		{name: "field", think: &off},
		{name: "effort", effort: "none"},
		{name: "another spelling", kwargs: `{"thinking":false}`},
		{name: "effort as an option", kwargs: `{"reasoning_effort":"none"}`},
		{name: "Anthropic's as an option", kwargs: `{"thinking_mode":"disabled"}`},
		{name: "default", defaults: `{"enable_thinking":false}`},
		{name: "default in another spelling", defaults: `{"thinking":false}`},
		{name: "default as an effort", defaults: `{"reasoning_effort":"none"}`},
		{name: "field over default", defaults: `{"enable_thinking":false}`, think: &on, thinks: true},
		{name: "effort over default", defaults: `{"enable_thinking":false}`, effort: "low", thinks: true},
		{name: "option over field", kwargs: `{"enable_thinking":false}`, think: &on, effort: "high"},
		{name: "option in another spelling over field", kwargs: `{"thinking":true}`, think: &off, thinks: true},
		{name: "option over default", defaults: `{"thinking":false}`, kwargs: `{"enable_thinking":true}`, thinks: true},
		{name: "field over an effort of the defaults", defaults: `{"reasoning_effort":"none"}`, think: &on, thinks: true},
	} {
		m := script(t, "qwen3", "<think>so</think>yes", 1)
		m.Kwargs = options(t, c.defaults)
		req := request()
		req.Think, req.Effort, req.Chat.Kwargs = c.think, c.effort, options(t, c.kwargs)
		text, err := m.Render(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := !strings.HasSuffix(text, "<think>\n\n</think>\n\n"); got != c.thinks {
			t.Errorf("%s: thinks %t; the prompt is %q", c.name, got, text)
		}
	}
}

// Where another server renders, the parser starts as the switches say, and that
// server gets every spelling.
func TestWithoutAPromptTheSwitchesDecideTheStart(t *testing.T) {
	on, off := true, false
	qwen3, err := reasoning.Lookup("qwen3")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, kwargs string
		think        *bool
		effort       string
		asked, want  string
	}{
		{"nothing", "", nil, "", `{}`, "so|yes"},
		{"off", "", &off, "", `{"enable_thinking":false,"thinking":false}`, "|so</think>yes"},
		{"on", "", &on, "", `{"enable_thinking":true,"thinking":true}`, "so|yes"},
		{"no effort", "", &off, "none", `{"enable_thinking":false,"reasoning_effort":"none","thinking":false}`, "|so</think>yes"},
		{"low", "", &on, "low", `{"enable_thinking":true,"reasoning_effort":"low","thinking":true}`, "so|yes"},
		{"one option", `{"thinking":false,"x":1}`, &on, "", `{"enable_thinking":false,"thinking":false,"x":1}`, "|so</think>yes"},
	} {
		var asked map[string]json.RawMessage
		engine := scripted.New(scripted.Config{Script: func(r *llm.Request, _ int) []scripted.Step {
			asked = r.Prompt.Chat.Kwargs
			return []scripted.Step{{Text: "so</th"}, {Text: "ink>yes"}}
		}})
		m := &pipeline.Model{Name: "m", Engine: engine, Parser: &qwen3, MaxContext: 64}
		req := request()
		req.Think, req.Effort, req.Chat.Kwargs = c.think, c.effort, options(t, c.kwargs)
		got := run(t, m, req)[0]
		if got.reasoning+"|"+got.content != c.want {
			t.Errorf("%s: %q | %q, want %q", c.name, got.reasoning, got.content, c.want)
		}
		if data, _ := json.Marshal(asked); string(data) != c.asked {
			t.Errorf("%s: it was asked with %s, want %s", c.name, data, c.asked)
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The ways to hand out an answer, streamed and not: the thought is the same
// wherever it is shown, and is counted where it is not.
func TestAThoughtIsShownOnceTwiceOrNotAtAll(t *testing.T) {
	const thought, rest = "\nLet me see: 日本 🍓.\n", "\n\nIt is STOP here, or not."
	for _, c := range []struct {
		name                     string
		inLine, raw, drop        bool
		reasoning, content, stop string
	}{
		{"apart", false, false, false, thought, rest, ""},
		{"in line", true, false, false, "", thoughtful, ""},
		{"both", false, true, false, thought, thoughtful, ""},
		{"dropped", false, false, true, "", rest, ""},
		{"stopped", false, false, true, "", "\n\nIt is ", "STOP"},
		{"in line, stopped", true, false, false, "", strings.TrimSuffix(thoughtful, "STOP here, or not."), "STOP"},
		{"both, stopped", false, true, false, thought, strings.TrimSuffix(thoughtful, "STOP here, or not."), "STOP"},
		{"both, a stop string in the thought", false, true, false, thought, thoughtful, "Let me"},
	} {
		for _, stream := range []bool{true, false} {
			for _, n := range []int{1, 3, 1000} {
				req := request()
				req.SeparateReasoning, req.RawContent, req.DropReasoning, req.StreamReasoning = !c.inLine, c.raw, c.drop, stream
				if c.stop != "" {
					req.Stop = []string{c.stop}
				}
				got := run(t, script(t, "qwen3", thoughtful, n), req)[0]
				if got.reasoning != c.reasoning || got.content != c.content || got.usage.Reasoning == 0 {
					t.Errorf("%s, stream %t, %d tokens a step: %+v", c.name, stream, n, got)
				}
			}
		}
	}
}

// Past reasoning, under either of its names, reaches a template that keeps it
// and not one that drops it.
func TestPastReasoningIsTheTemplatesAffair(t *testing.T) {
	keeps := `{% for m in messages %}[{{ m.role }}]{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% endfor %}[assistant]`
	other := strings.ReplaceAll(keeps, "reasoning_content", "reasoning")
	drops := `{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]`
	for template, want := range map[string]string{
		keeps: "[user]a[assistant]<think>because</think>b[user]c[assistant]", other: "[user]a[assistant]<think>because</think>b[user]c[assistant]",
		drops: "[user]a[assistant]b[user]c[assistant]",
	} {
		r, err := prompt.NewRenderer(prompt.Config{Templates: prompt.Templates{Default: template}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		for _, name := range []string{"reasoning_content", "reasoning", "thinking"} {
			m := script(t, "qwen3", "x", 1)
			m.Renderer = r
			req := request()
			req.Chat.Messages = json.RawMessage(`[{"role":"user","content":"a"},{"role":"assistant","` + name + `":"because","content":"b"},{"role":"user","content":"c"}]`)
			if got, err := m.Render(req); err != nil || got != want {
				t.Errorf("%s: %q, %v, want %q", name, got, err, want)
			}
		}
	}
}

func TestAnOpenThoughtOfThePastIsOver(t *testing.T) {
	m := script(t, "qwen3", "four</think> done", 1)
	req := request()
	req.Chat.Messages = json.RawMessage(`[{"role":"user","content":"a"},{"role":"assistant","reasoning_content":"open <think> ","content":"b <think>"},{"role":"user","content":"c"}]`)
	if got := run(t, m, req)[0]; got.reasoning != "" || got.content != "four</think> done" {
		t.Errorf("%+v", got)
	}
}
