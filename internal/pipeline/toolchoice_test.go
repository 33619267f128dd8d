package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// What a format cannot be held to is refused, and the error says where.
func TestCallsThatCannotBeHeldAreRefused(t *testing.T) {
	const plain = `{"type":"function","function":{"name":"add","parameters":{"type":"object"}}}`
	unique := `{"type":"function","function":{"name":"pick","strict":true,"parameters":{"type":"object","properties":{"all":{"type":"array","uniqueItems":true}}}}}`
	for name, c := range map[string]struct {
		format, tools string
		choice        pipeline.ToolChoice
		param, says   string
	}{
		"an unknown name":         {"hermes", plain, pipeline.ToolChoice{Required: true, Name: "sub"}, "tool_choice", "sub"},
		"an unknown name allowed": {"hermes", plain, pipeline.ToolChoice{Allowed: []string{"add", "sub"}}, "tool_choice", "sub"},
		"a schema, required":      {"gemma", plain + "," + unique, pipeline.ToolChoice{Required: true}, "tools[1].function.parameters", "uniqueItems"},
		"a schema, strict":        {"gemma", plain + "," + unique, pipeline.ToolChoice{}, "tools[1].function.parameters", "uniqueItems"},
		"another's schema":        {"gemma", plain + "," + unique, pipeline.ToolChoice{Required: true, Name: "add"}, "", ""},
		"a schema in JSON":        {"pythonic", plain, pipeline.ToolChoice{Required: true}, "", ""},
	} {
		m := guidedModel(t, c.format, "x")
		req := request()
		req.Chat.Tools, req.ToolChoice = json.RawMessage("["+c.tools+"]"), c.choice
		err := m.Compile(context.Background(), req)
		var e *llm.Error
		if c.param == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.As(err, &e) || e.Kind != llm.Invalid || e.Param != c.param || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without parallel calls a framing's calls after the first are dropped too.
func TestOneCallOfAFraming(t *testing.T) {
	const call = "<|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>{\"a\":1}<|call|>"
	for one, want := range map[bool]int{true: 1, false: 2} {
		m := newModel(t, "gpt-oss", scripted.Config{Caps: llm.Caps{Text: true, IDs: true}, Script: scripted.Texts("<|channel|>analysis<|message|>hm<|end|>"+call+call, 3)})
		req := request()
		req.Chat.Tools, req.OneCall = json.RawMessage(addTool), one
		r, err := m.Start(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		begun, arguments := 0, ""
		for {
			events, err := r.Next(context.Background())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.Kind != llm.EventToolCall {
					continue
				}
				var p struct {
					ID       string
					Function struct{ Arguments string }
				}
				if err := json.Unmarshal([]byte(e.Text), &p); err != nil {
					t.Fatalf("%q: %v", e.Text, err)
				}
				if p.ID != "" {
					begun++
				}
				arguments += p.Function.Arguments
			}
		}
		r.Close()
		if begun != want || arguments != strings.Repeat(`{"a":1}`, want) {
			t.Errorf("one %v: %d calls with %q", one, begun, arguments)
		}
	}
}
