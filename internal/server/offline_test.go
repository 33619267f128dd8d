package server

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// Without HTTP the answer is the one that HTTP gives, errors included.
func TestAChatWithoutHTTPIsAnsweredTheSame(t *testing.T) {
	f := begin(t, Config{MaxBody: 1 << 20}, scripted.Config{})
	mask := func(s string) string {
		return anyCreated.ReplaceAllString(anyID.ReplaceAllString(s, `"id":"*"`), `"created":0`)
	}
	for _, body := range []string{
		ask(), ask(`"n":3`), ask(`"stop":["42"]`), ask(`"separate_reasoning":false`), ask(`"include_reasoning":false`), ask(`"n":0`), ask(`"model":"nobody"`), ask(`"tools":7`), ask(`"max_tokens":9999`), "", "{",
		`{"messages":[{"role":"user","content":"` + strings.Repeat("x", 2<<20) + `"}]}`,
	} {
		over := f.chat(t, body)
		got := f.Chat(t.Context(), []byte(body))
		if got.Status != over.status || mask(string(got.Body)) != mask(over.body) || !strings.HasPrefix(got.ID, "req-") {
			t.Errorf("%.80s\n got %d %s\nHTTP %d %s", body, got.Status, got.Body, over.status, over.body)
		}
	}
	if got := f.Chat(t.Context(), []byte(ask(`"stream":true`))); got.Status != http.StatusBadRequest || !strings.Contains(string(got.Body), `"param":"stream"`) {
		t.Errorf("streamed: %d %s", got.Status, got.Body)
	}
	if !f.idle() {
		t.Error("something is left")
	}
}

func TestAChatWithoutHTTPSurvivesItsEngine(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step { return []scripted.Step{{Panic: true}} }})
	f.do(t, http.MethodGet, "/healthz", "")
	if got := f.Chat(t.Context(), []byte(ask())); got.Status != http.StatusInternalServerError || !strings.Contains(string(got.Body), "internal server error") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	wait := make(chan struct{})
	defer close(wait)
	slow := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step { return []scripted.Step{{Wait: wait}} }})
	slow.do(t, http.MethodGet, "/healthz", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := slow.Chat(ctx, []byte(ask())); got.Status != statusClientClosed {
		t.Errorf("cancelled: %d %s", got.Status, got.Body)
	}
}
