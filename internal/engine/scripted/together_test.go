package scripted

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/reasond/reasond/internal/llm"
)

// Requests that step together end each once, whatever ends them.
func TestTogetherEveryRequestEnds(t *testing.T) {
	endless := IDs(make([]int32, 1<<16))
	for name, c := range map[string]struct {
		script func(*llm.Request, int) []Step
		end    func(e *Engine, cancel func())
		want   llm.FinishReason
	}{
		"script": {IDs([]int32{1, 2, 3}), func(*Engine, func()) {}, llm.FinishStop},
		"client": {endless, func(_ *Engine, cancel func()) { cancel() }, llm.FinishAbort},
		"close":  {endless, func(e *Engine, _ func()) { go e.Close() }, llm.FinishAbort},
	} {
		e := New(Config{Script: c.script, Together: true, MaxContext: 1 << 18})
		ctx, cancel := context.WithCancel(t.Context())
		var streams []llm.Stream
		for range 3 {
			s, err := e.Submit(ctx, &llm.Request{N: 2, Sampling: llm.SamplingParams{MaxTokens: 1 << 17}})
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		for _, s := range streams {
			if _, err := s.Recv(t.Context()); err != nil {
				t.Fatal(name, err)
			}
		}
		c.end(e, cancel)
		for _, s := range streams {
			ends := 0
			for {
				deltas, err := s.Recv(t.Context())
				if errors.Is(err, io.EOF) {
					break
				}
				for _, d := range deltas {
					if d.Finish != nil {
						if ends++; d.Finish.Reason != c.want {
							t.Errorf("%s: a choice ended with %s", name, d.Finish.Reason)
						}
					}
				}
			}
			if ends > 2 {
				t.Errorf("%s: two choices ended %d times", name, ends)
			}
		}
		cancel()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
