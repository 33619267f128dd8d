package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/toolcall"
)

// guidedModel is newModel with grammars; its engine says what it is told to.
func guidedModel(t *testing.T, tools, text string) *pipeline.Model {
	t.Helper()
	m := newModel(t, "qwen3", scripted.Config{Caps: llm.Caps{IDs: true, Guides: true}, Script: scripted.Texts(text, 3)})
	trie, err := m.Tokenizer.Trie([]int32{imEnd})
	if err != nil {
		t.Fatal(err)
	}
	compiler := grammar.NewCompiler(trie)
	t.Cleanup(compiler.Close)
	m.EOS, m.Grammars = []int32{imEnd}, compiler
	d, err := toolcall.Lookup(tools)
	if err != nil {
		t.Fatal(err)
	}
	m.Tools = d
	return m
}

const addTool = `[{"type":"function","function":{"name":"add","parameters":{"type":"object"}}}]`

// Where the answer has a grammar nothing but its marker ends a thought, and what
// the grammar asked for is content, whatever it looks like.
func TestAGrammarsAnswerIsAllContent(t *testing.T) {
	const call = `{"name": "add", "parameters": {}}`
	m := guidedModel(t, "llama3-json", "<think>\nlike\n<tool_call>\nthis.</think>\n\n"+call)
	req := request()
	req.Chat.Tools = json.RawMessage(addTool)
	req.Grammar = pipeline.NewGrammar(pipeline.GrammarJSON, "", "response_format")
	got := run(t, m, req)[0]
	if got.content != call || got.reasoning != "\nlike\n<tool_call>\nthis." {
		t.Errorf("thought %q, content %q", got.reasoning, got.content)
	}
}

func TestAReserveThatLeavesNoRoomIsRefused(t *testing.T) {
	m := guidedModel(t, "hermes", "x")
	for reserve, ok := range map[int]bool{1: true, 8: true, 9: false, 10: false, 99: false} { // <think> and </think> are two more
		req := request()
		req.Sampling.MaxTokens, req.Control.Reserve = 10, reserve
		r, err := m.Start(context.Background(), req)
		if err == nil {
			r.Close()
		}
		var e *llm.Error
		if (err == nil) != ok || err != nil && (!errors.As(err, &e) || e.Kind != llm.Invalid || e.Param != "reserve_answer_tokens") {
			t.Errorf("%d of 10: %v", reserve, err)
		}
	}
}

// Guided requests may come all at once: what guides share is made once. Only the
// race detector sees it fail.
func TestGuidedRequestsStartAtOnce(t *testing.T) {
	m := guidedModel(t, "hermes", "<think>a</think>b")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			budget, req := 5, request()
			req.Control.Budget = &budget
			for range 4 {
				r, err := m.Start(context.Background(), req)
				if err != nil {
					t.Error(err)
					return
				}
				r.Close()
			}
		})
	}
	all.Wait()
}
