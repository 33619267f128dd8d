package e2e_test

import (
	"errors"
	"testing"
	"time"

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
	python(t, nil, "dialects.py", serveModels(t, models), "scripted")
}
