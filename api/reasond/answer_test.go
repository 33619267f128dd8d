package reasond_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/api/reasond"
)

func open(t *testing.T) *reasond.Model {
	t.Helper()
	m, err := reasond.Open("", reasond.Options{Float32: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func ask(question string) []reasond.Message {
	return []reasond.Message{{Role: "user", Content: question}}
}

// A stream's pieces are the answer, alone and beside others.
func TestPiecesAreTheAnswer(t *testing.T) {
	m := open(t)
	p := reasond.Params{Temperature: new(0.0)}
	want, err := m.Chat(t.Context(), ask("9.11 and 9.8, which is greater?"), p)
	if err != nil || want.Reasoning == "" || want.Content == "" || want.Usage.Reasoning == 0 {
		t.Fatalf("%+v, %v", want, err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			var got reasond.Answer
			for piece, err := range m.ChatStream(t.Context(), ask("9.11 and 9.8, which is greater?"), p) {
				if err != nil {
					t.Error(err)
				}
				got.Reasoning += piece.Reasoning
				got.Content += piece.Content
				if end := piece.End; end != nil && (end.Reasoning != got.Reasoning || end.Content != got.Content || piece.Reasoning+piece.Content != "") {
					t.Errorf("the end says %+v", end)
				}
			}
			if got.Reasoning != want.Reasoning || got.Content != want.Content {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	all.Wait()
}

func TestASeedRepeatsAnAnswer(t *testing.T) {
	m := open(t)
	say := func(seed uint64) string {
		a, err := m.Generate(t.Context(), "<|im_start|>user\n", reasond.Params{Temperature: new(2.0), Seed: &seed, MaxTokens: 16})
		if err != nil || a.FinishReason == "" {
			t.Fatalf("%+v, %v", a, err)
		}
		return a.Content
	}
	if a, b, c := say(1), say(1), say(2); a != b || a == c {
		t.Errorf("%q, again %q, another seed %q", a, b, c)
	}
}

// What is wrong is an error and ends the loop; a loop that is left ends the
// computation.
func TestErrorsAndLeaving(t *testing.T) {
	m := open(t)
	for what, c := range map[string]struct {
		messages []reasond.Message
		params   reasond.Params
		want     string
	}{
		"no message": {nil, reasond.Params{}, "messages"}, "effort": {ask("x"), reasond.Params{Effort: "much"}, "Effort"},
		"length": {ask("x"), reasond.Params{MaxTokens: 1 << 20}, "maximum context length"}, "temperature": {ask("x"), reasond.Params{Temperature: new(-1.0)}, "temperature"},
		"kwargs": {ask("x"), reasond.Params{TemplateKwargs: map[string]any{"f": func() {}}}, "TemplateKwargs"},
	} {
		if a, err := m.Chat(t.Context(), c.messages, c.params); a != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
	}
	if _, err := m.Generate(t.Context(), "x", reasond.Params{Thinking: new(true)}); err == nil {
		t.Error("a prompt that is no chat has no switch")
	}
	for range m.ChatStream(t.Context(), ask("Reverse the word strawberry"), reasond.Params{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var err error
	for _, err = range m.ChatStream(ctx, ask("Reverse the word strawberry"), reasond.Params{}) {
		cancel()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := reasond.Open("/none/such", reasond.Options{}); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("no model: %v", err)
	}
}
