package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// shown is the first choice of a whole answer.
type shown struct {
	content, reasoningContent, reasoning *string
	tokens                               int
}

func (f *fixture) shown(t *testing.T, body string) shown {
	t.Helper()
	r := f.chat(t, body)
	var a openai.ChatCompletion
	if err := json.Unmarshal([]byte(r.body), &a); err != nil || len(a.Choices) == 0 {
		t.Fatalf("%s: %v", r.body, err)
	}
	m := a.Choices[0].Message
	return shown{m.Content, m.ReasoningContent, m.Reasoning, a.Usage.CompletionTokensDetails.ReasoningTokens}
}

func is(s *string, want string) bool {
	if want == "" {
		return s == nil
	}
	return s != nil && *s == want
}

const apart, inside = "\n" + thought, "\n\n" + answer

// The members of a request and the flags of the server, in all forms of the
// answer: "" is null.
func TestReasoningGoesWhereTheRequestOrTheServerSays(t *testing.T) {
	for _, c := range []struct {
		name      string
		server    Reasoning
		more      string
		reasoning string
		content   string
	}{
		{"default", Reasoning{}, `"n":1`, apart, inside},
		{"separate_reasoning", Reasoning{}, `"separate_reasoning":false`, "", raw},
		{"none", Reasoning{}, `"reasoning_format":"none"`, "", raw},
		{"deepseek", Reasoning{}, `"reasoning_format":"deepseek"`, apart, inside},
		{"legacy", Reasoning{}, `"reasoning_format":"deepseek-legacy"`, apart, raw},
		{"include_reasoning", Reasoning{}, `"include_reasoning":false`, "", inside},
		{"exclude", Reasoning{}, `"reasoning":{"exclude":true}`, "", inside},
		{"server in line", Reasoning{InLine: true}, `"n":1`, "", raw},
		{"server in line, request apart", Reasoning{InLine: true}, `"separate_reasoning":true`, apart, inside},
		{"server in line, request drops", Reasoning{InLine: true}, `"include_reasoning":false`, "", inside},
		{"server legacy", Reasoning{Legacy: true}, `"n":1`, apart, raw},
		{"server legacy, request apart", Reasoning{Legacy: true}, `"reasoning_format":"deepseek"`, apart, inside},
		{"server drops", Reasoning{Drop: true}, `"n":1`, "", inside},
		{"server drops, request includes", Reasoning{Drop: true}, `"include_reasoning":true`, apart, inside},
		{"server drops, request apart", Reasoning{Drop: true}, `"separate_reasoning":true`, apart, inside},
		{"server in line, legacy", Reasoning{InLine: true, Legacy: true}, `"n":1`, "", raw},
		{"server drops, request in line", Reasoning{Drop: true}, `"separate_reasoning":false`, "", raw},
	} {
		for _, field := range []Field{BothFields, ReasoningContent, ReasoningField} {
			c.server.Field = field
			f := begin(t, Config{Reasoning: c.server}, scripted.Config{})
			wantContent, wantPlain := c.reasoning, c.reasoning
			if field == ReasoningField {
				wantContent = ""
			}
			if field == ReasoningContent {
				wantPlain = ""
			}
			got := f.shown(t, ask(c.more))
			if !is(got.reasoningContent, wantContent) || !is(got.reasoning, wantPlain) || !is(got.content, c.content) || got.tokens == 0 {
				t.Errorf("%s, field %q: %s", c.name, field, f.chat(t, ask(c.more)).body)
			}
			for _, hold := range []string{"true", "false"} {
				f.streamed(t, ask(c.more, `"stream":true`, `"stream_reasoning":`+hold), wantContent, wantPlain, c.content)
			}
		}
	}
}

// streamed checks a stream's texts, and that no chunk says two things or
// nothing.
func (f *fixture) streamed(t *testing.T, body, reasoningContent, reasoning, content string) {
	t.Helper()
	var gotContent, gotPlain, got strings.Builder
	for _, line := range strings.Split(f.chat(t, body).body, "\n") {
		var c openai.ChatCompletionChunk
		data, ok := strings.CutPrefix(line, "data: {")
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte("{"+data), &c); err != nil || len(c.Choices) != 1 {
			t.Fatalf("%s: %v", line, err)
		}
		d := c.Choices[0].Delta
		texts := 0
		for _, s := range []struct {
			text *string
			into *strings.Builder
		}{{d.ReasoningContent, &gotContent}, {d.Reasoning, &gotPlain}, {d.Content, &got}} {
			if s.text == nil {
				continue
			}
			s.into.WriteString(*s.text)
			if *s.text == "" {
				t.Errorf("an empty text: %s", line)
			}
		}
		if d.ReasoningContent != nil || d.Reasoning != nil {
			texts++
		}
		if d.Content != nil {
			texts++
		}
		if d.Role != nil {
			texts++
		}
		if c.Choices[0].FinishReason != nil {
			texts++
		}
		if texts != 1 {
			t.Errorf("a chunk says %d things: %s", texts, line)
		}
	}
	if gotContent.String() != reasoningContent || gotPlain.String() != reasoning || got.String() != content {
		t.Errorf("%s: %q, %q, %q", body, gotContent.String(), gotPlain.String(), got.String())
	}
}

func TestAServerMayHoldThoughtsBack(t *testing.T) {
	for _, c := range []struct {
		server Reasoning
		more   string
		one    bool
	}{{Reasoning{Hold: true}, `"n":1`, true}, {Reasoning{Hold: true}, `"stream_reasoning":true`, false}, {Reasoning{}, `"n":1`, false}} {
		f := begin(t, Config{Reasoning: c.server}, scripted.Config{})
		body := f.chat(t, ask(c.more, `"stream":true`)).body
		if n := strings.Count(body, `"reasoning_content":"`); (n == 1) != c.one {
			t.Errorf("%+v %s: %d reasoning chunks", c.server, c.more, n)
		}
	}
}

// A thought that was cut short is not content, and content without a thought is
// text even if it is empty.
func TestContentIsNullOnlyWhereThereIsOnlyAThought(t *testing.T) {
	for _, c := range []struct{ text, more, content string }{
		{"<think>only", `"n":1`, "null"}, {"<think>only", `"include_reasoning":false`, "null"}, {"<think>only", `"separate_reasoning":false`, `"<think>only"`},
		{"", `"n":1`, `""`}, {"<think></think>", `"n":1`, `""`},
	} {
		text := c.text
		f := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step { return tokens(t, text) }})
		if body := f.chat(t, ask(c.more)).body; !strings.Contains(body, `"content":`+c.content+`,`) {
			t.Errorf("%q %s: %s", c.text, c.more, body)
		}
	}
}

// Every spelling of off reaches the model's prompt, over HTTP.
func TestEverySpellingOfOffReachesThePrompt(t *testing.T) {
	var prompts []string
	f := begin(t, Config{}, scripted.Config{Script: func(r *llm.Request, _ int) []scripted.Step {
		prompts = append(prompts, fmt.Sprint(r.Prompt.IDs))
		return tokens(t, "yes")
	}})
	spellings := []string{
		`"chat_template_kwargs":{"enable_thinking":false}`, `"chat_template_kwargs":{"thinking":false}`, `"chat_template_kwargs":{"reasoning_effort":"none"}`,
		`"enable_thinking":false`, `"thinking":false`, `"think":false`, `"thinking":{"type":"disabled"}`, `"reasoning_effort":"none"`, `"reasoning":{"effort":"none"}`, `"reasoning":{"enabled":false}`,
		`"enable_thinking":true,"chat_template_kwargs":{"enable_thinking":false}`,
	}
	for _, s := range append([]string{`"n":1`}, spellings...) {
		if got := f.shown(t, ask(s)); !is(got.content, "yes") || got.reasoning != nil {
			t.Errorf("%s: %+v", s, got)
		}
	}
	for i, p := range prompts[1:] {
		if p == prompts[0] || p != prompts[1] {
			t.Errorf("%s: %s", spellings[i], p)
		}
	}
	for _, s := range []string{`"enable_thinking":true,"thinking":false`, `"reasoning_effort":"none","enable_thinking":true`} {
		r := f.chat(t, ask(s))
		if e := envelope(t, r); r.status != 400 || !strings.Contains(e.Message, "thinking") || !strings.Contains(e.Message, "contradicts") {
			t.Errorf("%s: %d %s", s, r.status, r.body)
		}
	}
}

func TestModelsSayWhatTheyMakeOfTheSwitches(t *testing.T) {
	engine := scripted.New(scripted.Config{})
	t.Cleanup(func() { _ = engine.Close() })
	m := tinyModel(t, engine)
	describe := func() string {
		b, _ := json.Marshal(describeReasoning(m))
		return string(b)
	}
	if got, want := describe(), `{"parser":"qwen3","switch":"enable_thinking","efforts":null,"default":true}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	m.Kwargs = map[string]json.RawMessage{"thinking": json.RawMessage("false")}
	if got, want := describe(), `{"parser":"qwen3","switch":"enable_thinking","efforts":null,"default":false}`; got != want {
		t.Errorf("off by the server: %s, want %s", got, want)
	}
	m.Renderer = nil
	if got := describe(); got != `{"parser":"qwen3","switch":null,"efforts":null,"default":null}` {
		t.Errorf("prompts made elsewhere: %s", got)
	}
	if m.Parser = nil; describe() != "null" {
		t.Errorf("no parser: %s", describe())
	}
}

func TestAnUnknownFieldIsRefused(t *testing.T) {
	if _, err := New(Config{Reasoning: Reasoning{Field: "thoughts"}}); err == nil {
		t.Error("reasoning goes into thoughts")
	}
}
