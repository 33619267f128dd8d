package bundle

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// logprobs runs a golden case greedily and returns its text and tokens.
func logprobs(t *testing.T, m *pipeline.Model, messages, tools json.RawMessage, separate bool, stop ...string) (string, []llm.TextLogprob) {
	t.Helper()
	req := &pipeline.Request{N: 1, Sampling: m.Defaults, SeparateReasoning: separate, StreamReasoning: true, KeepSpecial: true, Stop: stop,
		Chat: llm.Chat{Messages: messages, Tools: tools, AddGenerationPrompt: true}}
	req.Sampling.Temperature, req.Sampling.Logprobs, req.Sampling.TopLogprobs = 0, true, 10
	run, err := m.Start(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	var text string
	var tokens []llm.TextLogprob
	if err := run.Each(context.Background(), func(e llm.Event) error {
		if e.Kind == llm.EventContent {
			text += e.Text
			tokens = append(tokens, e.Logprobs...)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return text, tokens
}

func spelled(tokens []llm.TextLogprob) (text string) {
	for _, t := range tokens {
		text += string(t.Bytes)
	}
	return text
}

func TestLogprobsAddUpToTheContentAndAreThoseOfTransformers(t *testing.T) {
	b, err := Open(Config{Float32: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Name     string
			Messages json.RawMessage
			Kwargs   struct{ Tools json.RawMessage }
			Top10    struct {
				FP32 [][]struct{ Logprob float64 }
			}
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, c := range golden.Cases[:8] {
		content, tokens := logprobs(t, b.Model, c.Messages, c.Kwargs.Tools, true)
		if got := spelled(tokens); got != content || content == "" {
			t.Errorf("%s: tokens %q, content %q", c.Name, got, content)
		}
		if held, tokens := logprobs(t, b.Model, c.Messages, c.Kwargs.Tools, true, content+" and more"); spelled(tokens) != held || held != content {
			t.Errorf("%s: held back for a stop string: tokens %q, content %q", c.Name, spelled(tokens), held)
		}
		raw, tokens := logprobs(t, b.Model, c.Messages, c.Kwargs.Tools, false)
		if got := spelled(tokens); got != raw || len(raw) <= len(content) {
			t.Errorf("%s: not separated: tokens %q, text %q", c.Name, got, raw)
		}
		for i, top := range c.Top10.FP32 {
			for j := range top {
				compared++
				if math.Abs(float64(tokens[i].Top[j].Logprob)-top[j].Logprob) > 1e-3 {
					t.Errorf("%s: token %d, alternative %d: %v, golden %v", c.Name, i, j, tokens[i].Top[j].Logprob, top[j].Logprob)
				}
			}
			if tokens[i].Logprob != tokens[i].Top[0].Logprob {
				t.Errorf("%s: token %d: %v, the likeliest has %v", c.Name, i, tokens[i].Logprob, tokens[i].Top[0].Logprob)
			}
		}
	}
	if compared < 100 {
		t.Errorf("%d log-probabilities were compared", compared)
	}
}
