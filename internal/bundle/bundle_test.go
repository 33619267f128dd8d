package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/toolcall"
)

type golden struct {
	Cases []struct {
		Name     string
		Messages json.RawMessage
		Kwargs   map[string]json.RawMessage
		Prompt   string
		Output   string  `json:"output_text"`
		Margin   float64 `json:"min_margin"`
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// ask runs one greedy chat and returns reasoning, content and the finish.
func ask(t *testing.T, m *pipeline.Model, messages json.RawMessage, kwargs map[string]json.RawMessage) (reasoning, content string, end llm.Event) {
	t.Helper()
	req := &pipeline.Request{N: 1, Sampling: m.Defaults, SeparateReasoning: true, StreamReasoning: true,
		Chat: llm.Chat{Messages: messages, Tools: kwargs["tools"], AddGenerationPrompt: true, Kwargs: map[string]json.RawMessage{}}}
	for k, v := range kwargs {
		if k != "tools" {
			req.Chat.Kwargs[k] = v
		}
	}
	req.Sampling.Temperature = 0
	run, err := m.Start(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	for {
		events, err := run.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return reasoning, content, end
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			switch e.Kind {
			case llm.EventReasoning:
				reasoning += e.Text
			case llm.EventContent:
				content += e.Text
			case llm.EventToolCall:
				content += e.Text
			case llm.EventFinish:
				end = e
			}
		}
	}
}

func TestTheEmbeddedModelAnswersAsItsGoldensSay(t *testing.T) {
	for _, dtype := range []struct {
		name    string
		float32 bool
		margin  float64 // cases with a smaller lead may differ
	}{{"float32", true, 0}, {"default", false, 0.3}} {
		t.Run(dtype.name, func(t *testing.T) {
			b, err := Open(Config{Float32: dtype.float32})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			for _, c := range readGolden(t).Cases {
				if c.Margin < dtype.margin {
					continue
				}
				reasoning, content, end := ask(t, b.Model, c.Messages, c.Kwargs)
				want := strings.TrimSuffix(c.Output, "<|im_end|>")
				if strings.Contains(want, "<tool_call>") {
					compareCall(t, c.Name, want, content, end)
					continue
				}
				got := content
				if strings.HasPrefix(want, "<think>") {
					got = "<think>" + reasoning + "</think>" + content
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", c.Name, got, want)
				}
				if end.Finish == nil || end.Finish.Reason != llm.FinishStop || end.Usage.Completion == 0 {
					t.Errorf("%s: finish is %+v", c.Name, end)
				}
			}
		})
	}
}

// compareCall holds the pieces of a call, one behind the other as ask joins them,
// against what the model wrote.
func compareCall(t *testing.T, name, output, got string, end llm.Event) {
	t.Helper()
	d, err := toolcall.Lookup("hermes")
	if err != nil {
		t.Fatal(err)
	}
	_, calls := toolcall.Parse(d, nil, output)
	var call toolcall.Call
	for dec := json.NewDecoder(strings.NewReader(got)); ; {
		var p struct {
			Function struct{ Name, Arguments string }
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%s: %q: %v", name, got, err)
		}
		call.Name += p.Function.Name
		call.Arguments += p.Function.Arguments
	}
	if len(calls) != 1 || call != calls[0] || end.Finish.Reason != llm.FinishToolCalls {
		t.Errorf("%s: got the call %q and %q, want %q", name, call, end.Finish.Reason, calls)
	}
}
