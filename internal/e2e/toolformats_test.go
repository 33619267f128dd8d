package e2e_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	openaigo "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/reasond/reasond/api/reasoning"
	engine "github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/toolcall"
)

// formatTools are the tools that internal/toolcall's goldens call.
const formatTools = `[
	{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {
		"location": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}, "days": {"type": ["integer", "null"]},
		"nested": {"type": "object"}, "flag": {"type": "boolean"}}}}},
	{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {
		"a": {"type": "number"}, "b": {"anyOf": [{"type": "number"}, {"type": "null"}]}}}}},
	{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]`

// formatModel begins the name of the model that writes calls in a format of
// internal/toolcall; the rest is the format's.
const formatModel = "calls-"

// formatCases are internal/toolcall's goldens behind a thought, and those of the
// framings that carry calls themselves.
func formatCases(t *testing.T) []parserCase {
	t.Helper()
	data, err := os.ReadFile("../toolcall/testdata/calls.json")
	if err != nil {
		t.Fatal(err)
	}
	var goldens []struct {
		Parser, Name, Text, Content string
		Calls                       []parserCall
	}
	if err := json.Unmarshal(data, &goldens); err != nil {
		t.Fatal(err)
	}
	var tools []any
	if err := json.Unmarshal([]byte(formatTools), &tools); err != nil {
		t.Fatal(err)
	}
	const thought = "It asks for a tool, \"<tool_call>\" and all."
	var cases []parserCase
	for _, g := range goldens {
		c := parserCase{
			Model: formatModel + g.Parser, Ask: g.Parser + ": " + g.Name, Request: map[string]any{"tools": tools},
			Raw: thought + "</think>" + g.Text, Finish: "stop", Calls: g.Calls, Reasoning: thought, Content: g.Content,
		}
		if len(g.Calls) > 0 {
			c.Finish = "tool_calls"
		}
		c.Tokens = utf8.RuneCountInString(c.Raw)
		cases = append(cases, c)
	}
	for _, c := range parserCases(t) {
		if len(c.Calls) > 0 {
			cases = append(cases, c)
		}
	}
	return cases
}

// startFormats serves a model for each tool format over the scripted engine,
// whose every step is a character.
func startFormats(t *testing.T, cases []parserCase) string {
	t.Helper()
	raw := map[string]string{}
	for _, c := range cases {
		raw[c.Model+"\n"+c.Ask] = c.Raw
	}
	var models []*pipeline.Model
	for _, c := range cases {
		if slices.ContainsFunc(models, func(m *pipeline.Model) bool { return m.Name == c.Model }) {
			continue
		}
		m := &pipeline.Model{Name: c.Model, Created: time.Now(), Defaults: llm.UnsetSampling()}
		framing := c.Model
		if format, ok := strings.CutPrefix(c.Model, formatModel); ok {
			framing = "deepseek-r1"
			var err error
			if m.Tools, err = toolcall.Lookup(format); err != nil {
				t.Fatal(err)
			}
		}
		d, err := reasoning.Lookup(framing)
		if err != nil {
			t.Fatal(err)
		}
		m.Parser = &d
		m.Engine = engine.New(engine.Config{Script: func(req *llm.Request, _ int) []engine.Step {
			var messages []struct{ Content string }
			if err := json.Unmarshal(req.Prompt.Chat.Messages, &messages); err != nil {
				panic(err)
			}
			var steps []engine.Step
			for _, r := range raw[m.Name+"\n"+messages[len(messages)-1].Content] {
				steps = append(steps, engine.Step{Text: string(r)})
			}
			return steps
		}})
		t.Cleanup(func() { _ = m.Engine.Close() })
		models = append(models, m)
	}
	want := []string{"gpt-oss", "kimi-k3"}
	for _, name := range toolcall.Names() {
		want = append(want, formatModel+name)
	}
	for _, name := range want {
		if !slices.ContainsFunc(models, func(m *pipeline.Model) bool { return m.Name == name }) {
			t.Errorf("no case calls a tool as %s does", name)
		}
	}
	return serveModels(t, models) + "/v1"
}

func TestOpenAIsClientGetsEveryToolFormatsCalls(t *testing.T) {
	cases := formatCases(t)
	stdin, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", python(t, stdin, "parsers.py", startFormats(t, cases)))
}

// The client's own accumulator puts the calls together.
func TestOpenAIsGoClientGetsEveryToolFormatsCalls(t *testing.T) {
	cases := formatCases(t)
	client := openaigo.NewClient(option.WithBaseURL(startFormats(t, cases)), option.WithAPIKey("none"), option.WithMaxRetries(0))
	for _, c := range cases {
		params, options := c.params()
		whole, err := client.Chat.Completions.New(t.Context(), params, options...)
		if err != nil {
			t.Fatalf("%s: %v", c.Ask, err)
		}
		stream := client.Chat.Completions.NewStreaming(t.Context(), params, options...)
		var acc openaigo.ChatCompletionAccumulator
		for stream.Next() {
			if !acc.AddChunk(stream.Current()) {
				t.Errorf("%s: the client refuses %s", c.Ask, stream.Current().RawJSON())
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatalf("%s, streamed: %v", c.Ask, err)
		}
		for how, answer := range map[string]*openaigo.ChatCompletion{"whole": whole, "streamed": &acc.ChatCompletion} {
			choice := answer.Choices[0]
			if choice.Message.Content != c.Content || choice.FinishReason != c.Finish {
				t.Errorf("%s, %s: content %q, finish %s, must be %q, %s", c.Ask, how, choice.Message.Content, choice.FinishReason, c.Content, c.Finish)
			}
			var calls []parserCall
			for _, call := range choice.Message.ToolCalls {
				calls = append(calls, parserCall{call.Function.Name, call.Function.Arguments})
			}
			if !slices.EqualFunc(calls, c.Calls, sameCall) {
				t.Errorf("%s, %s: calls %q, must be %q", c.Ask, how, calls, c.Calls)
			}
		}
	}
}

// sameCall compares arguments as JSON, and as text where they were cut off.
func sameCall(a, b parserCall) bool {
	var x, y any
	if json.Unmarshal([]byte(a.Arguments), &x) != nil || json.Unmarshal([]byte(b.Arguments), &y) != nil {
		return a == b
	}
	p, _ := json.Marshal(x) // objects' keys in one order
	q, _ := json.Marshal(y)
	return a.Name == b.Name && string(p) == string(q)
}
