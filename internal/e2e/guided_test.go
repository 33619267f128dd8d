package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Hostile schemas are refused, or answered, while others go on being answered.
func TestHostileSchemasHoldNobodyUp(t *testing.T) {
	p := byteServer(t)
	plain := noise(1, nil, 8)
	p.answer(t, plain)
	var wg sync.WaitGroup
	var left atomic.Int32
	for i := range 12 {
		left.Add(1)
		wg.Go(func() {
			defer left.Add(-1)
			hostile := noise(i, nil, 16)
			hostile["structured_outputs"] = map[string]any{"regex": fmt.Sprintf("((a{1000}){1000}){1000}%d", i)}
			if a := p.answer(t, hostile); a.status != 400 || a.err.Param != "structured_outputs.regex" {
				t.Errorf("hostile: %d %.300s", a.status, a.body)
			}
		})
	}
	var slowest time.Duration
	asked, start := 0, time.Now()
	for left.Load() > 0 {
		began := time.Now()
		if a := p.answer(t, plain); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		slowest = max(slowest, time.Since(began))
		asked++
	}
	wg.Wait()
	t.Logf("%d plain answers meanwhile, the slowest took %v", asked, slowest)
	if all := time.Since(start); asked < 10 || slowest > max(2*time.Second, all/2) {
		t.Errorf("%d plain answers meanwhile, the slowest took %v", asked, slowest)
	}
}

// Clients that go away in the middle of guided answers harm nobody: the others'
// answers are what they are without them.
func TestGuidedClientsMayGoAway(t *testing.T) {
	p := byteServer(t, "--max-num-seqs", "8")
	schema := json.RawMessage(`{"type":"object","properties":{"s":{"type":"string","minLength":20},"l":{"type":"array","items":{"type":"integer"},"minItems":5}},"required":["s","l"],"additionalProperties":false}`)
	ask := func(seed int) map[string]any {
		body := noise(seed, schema, 200)
		body["n"] = 3
		return body
	}
	want := make([]chatAnswer, 8)
	for i := range want {
		want[i] = p.answer(t, ask(i))
	}
	got := make([]chatAnswer, len(want))
	each(64, func(i int) {
		if i%8 == 0 {
			got[i/8] = p.answer(t, ask(i/8))
			return
		}
		body := ask(1000 + i)
		body["stream"] = true
		data, err := json.Marshal(body)
		if err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := p.post(ctx, string(data))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		_, _ = io.CopyN(io.Discard, resp.Body, int64(500*i%9000)) // and away
	})
	for i := range want {
		if len(got[i].choices) != 3 || fmt.Sprint(got[i].choices) != fmt.Sprint(want[i].choices) {
			t.Errorf("%d: %v and alone %v", i, got[i].choices, want[i].choices)
		}
	}
	if strings.Contains(p.stderr.String(), "panic") || strings.Contains(p.stderr.String(), "failed on this request") {
		t.Errorf("the log: %s", p.stderr)
	}
}

// What would leave a finished grammar without a next token does not: min_tokens
// and ignore_eos end with it, stop ids are inert in a thought.
func TestAGrammarsEndIsTheAnswers(t *testing.T) {
	p := byteServer(t)
	for name, more := range map[string]map[string]any{
		"min_tokens": {"min_tokens": 150}, "ignore_eos": {"ignore_eos": true}, "a stop id": {"stop_token_ids": thoughtBytes()},
	} {
		each(12, func(i int) {
			body := noise(i, nil, 200)
			body["structured_outputs"] = map[string]any{"regex": `\{[0-9]{3}\}`}
			for k, v := range more {
				body[k] = v
			}
			a := p.answer(t, body)
			if a.status != 200 || a.choices[0].finish != "stop" || len(a.choices[0].content) != 5 || !strings.HasPrefix(a.choices[0].content, "{") {
				t.Errorf("%s: %.600s", name, a.body)
			}
		})
	}
}

// thoughtBytes are tokens that a thought has and the answer has not.
func thoughtBytes() (ids []int) {
	for b := 128; b < 256; b++ {
		ids = append(ids, b)
	}
	return ids
}
