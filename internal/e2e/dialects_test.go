package e2e_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	openaigo "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/reasond/reasond/api/reasoning"
	engine "github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/toolcall"
)

// Anthropic's and Ollama's own clients, whole and streamed, with thoughts, tools,
// structured answers, budgets and errors.
func TestOtherDialectsSpeakToTheirClients(t *testing.T) {
	p := start(t, "--dtype", "float32")
	python(t, nil, "dialects.py", p.base)
}

// Two calls at once, and a fault in the middle of an answer, which no client takes
// for a whole one.
func TestOtherDialectsTellCallsAndFaults(t *testing.T) {
	d, err := reasoning.Lookup("deepseek-r1")
	if err != nil {
		t.Fatal(err)
	}
	hermes, err := toolcall.Lookup("hermes")
	if err != nil {
		t.Fatal(err)
	}
	const answer = "Both.</think>" +
		"<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>\n" +
		"<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>"
	scripts := map[string][]engine.Step{
		"calls":  engine.Texts(answer, 3)(nil, 0),
		"breaks": append(engine.Texts("Let me see.</think>It is", 3)(nil, 0), engine.Step{Err: errors.New("secret")}),
	}
	var models []*pipeline.Model
	for name, steps := range scripts {
		e := engine.New(engine.Config{Script: func(*llm.Request, int) []engine.Step { return steps }})
		t.Cleanup(func() { _ = e.Close() })
		models = append(models, &pipeline.Model{
			Name: name, Created: time.Now(), Engine: e, Parser: &d, Tools: hermes, Defaults: llm.UnsetSampling(),
		})
	}
	base := serveModels(t, models)
	python(t, nil, "dialects.py", base, "scripted")

	client := openaigo.NewClient(option.WithBaseURL(base+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))
	params := asks(paris)
	params.Model = "breaks"
	var fault *openaigo.Error
	if _, err := client.Chat.Completions.New(t.Context(), params); !errors.As(err, &fault) || fault.StatusCode != http.StatusInternalServerError {
		t.Errorf("a broken answer, whole: %v", err)
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var acc openaigo.ChatCompletionAccumulator
	for stream.Next() {
		acc.AddChunk(stream.Current())
	}
	if err := stream.Err(); err == nil || strings.Contains(err.Error(), "secret") || acc.Choices[0].Message.Content != "It is" || acc.Choices[0].FinishReason != "" {
		t.Errorf("a broken answer, streamed: %v, %q", err, acc.Choices[0].Message.Content)
	}
}
