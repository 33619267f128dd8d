package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/tokenizer"
)

// begin starts a request that goes on from ids, n times.
func begin(t *testing.T, m *pipeline.Model, n int, ids ...int32) *pipeline.Run {
	t.Helper()
	req := request()
	req.Prompt, req.N, req.NoParser = &llm.Prompt{IDs: ids}, n, true
	r, err := m.Start(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Joined runs give what each gives alone, choices numbered through, and count
// as they did.
func TestABatchIsItsRunsOneAfterTheOther(t *testing.T) {
	m := newModel(t, "qwen3", scripted.Config{Script: func(r *llm.Request, choice int) []scripted.Step {
		return scripted.Texts(strings.Repeat(fmt.Sprintf("%d %d ", len(r.Prompt.IDs), choice), 5), 2)(r, choice)
	}})
	b := pipeline.Join([]*pipeline.Run{begin(t, m, 2, 5), begin(t, m, 1, 5, 5), begin(t, m, 3, 5, 5, 5)})
	defer b.Close()
	if n := b.PromptTokens(); n != 6 {
		t.Errorf("%d tokens of prompts", n)
	}
	var text [6]string
	var ended [6]bool
	for {
		events, err := b.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if ended[e.Choice] {
				t.Fatalf("after its end: %+v", e)
			}
			text[e.Choice] += e.Text
			if ended[e.Choice] = e.Kind == llm.EventFinish; ended[e.Choice] && b.Usage(e.Choice) != *e.Usage {
				t.Errorf("choice %d: %+v at its end, of which the event says %+v", e.Choice, b.Usage(e.Choice), *e.Usage)
			}
		}
	}
	for i, of := range []string{"1 0 ", "1 1 ", "2 0 ", "3 0 ", "3 1 ", "3 2 "} {
		if text[i] != strings.Repeat(of, 5) || !ended[i] {
			t.Errorf("choice %d: %q, ended %v", i, text[i], ended[i])
		}
	}
	if _, err := b.Next(context.Background()); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// A wait ends with its context and loses nothing; Close ends what still runs.
func TestABatchThatIsClosedLeavesNothingBehind(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	m := newModel(t, "", scripted.Config{Script: func(*llm.Request, int) []scripted.Step {
		return []scripted.Step{{Wait: hold}}
	}})
	b := pipeline.Join([]*pipeline.Run{begin(t, m, 2, 5), begin(t, m, 1, 5)})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up: %v", err)
	}
	b.Close()
	b.Close()
	for end := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		if s := m.Engine.Stats(); s.Running+s.Waiting == 0 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("still %+v", s)
		}
	}
}

// Without a parser all is content, and a stop string matches where a thought
// would be.
func TestWithoutAParserStopStringsMatchAnywhere(t *testing.T) {
	req := request()
	req.NoParser = true
	if got := run(t, script(t, "qwen3", thoughtful, 2), req)[0]; got.content != thoughtful || got.reasoning != "" || got.usage.Reasoning != 0 {
		t.Errorf("got %+v", got)
	}
	for stop, want := range map[string]string{"see": "<think>\nLet me ", "</think>": "<think>\nLet me see: 日本 🍓.\n"} {
		req.Stop = []string{stop}
		if got := run(t, script(t, "qwen3", thoughtful, 2), req)[0]; got.content != want || got.finish.StopText != stop {
			t.Errorf("%q: %+v", stop, got)
		}
	}
}

// A bare text is encoded without the token that the model wants before a text.
func TestABareTextIsEncodedAsItIs(t *testing.T) {
	var asked []int32
	m := newModel(t, "", scripted.Config{Script: func(r *llm.Request, _ int) []scripted.Step {
		asked = r.Prompt.IDs
		return nil
	}})
	const begins = `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
		"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"a":{"id":"a","ids":[1],"tokens":["a"]}}}`
	tok, err := tokenizer.New([]byte(strings.Replace(sentencePiece, `"post_processor":null`, begins, 1)), tokenizer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	m.Tokenizer = tok
	for bare, want := range map[bool][]int32{false: {1, 0, 2}, true: {0, 2}} {
		req := request()
		req.Prompt, req.BareText = &llm.Prompt{Text: "b"}, bare
		if run(t, m, req); !slices.Equal(asked, want) {
			t.Errorf("bare %v: %v, want %v", bare, asked, want)
		}
	}
}
