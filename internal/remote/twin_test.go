package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

var _ pipeline.Engine = (*Engine)(nil)

// twin stands where an upstream stands: it answers what a test wrote down and
// keeps what it was asked.
type twin struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []map[string]any
	heads  []http.Header
	paths  []string
}

// newTwin answers every request with handle.
func newTwin(t *testing.T, handle http.HandlerFunc) *twin {
	t.Helper()
	tw := &twin{}
	tw.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body map[string]any
		_ = json.Unmarshal(raw, &body)
		tw.mu.Lock()
		tw.bodies, tw.heads, tw.paths = append(tw.bodies, body), append(tw.heads, r.Header), append(tw.paths, r.URL.Path)
		tw.mu.Unlock()
		handle(w, r)
	}))
	t.Cleanup(tw.Close)
	return tw
}

func (tw *twin) body(t *testing.T) map[string]any {
	t.Helper()
	tw.mu.Lock()
	defer tw.mu.Unlock()
	if len(tw.bodies) == 0 {
		t.Fatal("the upstream was not asked")
	}
	return tw.bodies[len(tw.bodies)-1]
}

func (tw *twin) asked() int {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	return len(tw.bodies)
}

// says streams text as it is and ends.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
	}
}

// sse makes a stream of frames that ends with [DONE].
func sse(frames ...string) string {
	var b strings.Builder
	for _, f := range append(frames, "[DONE]") {
		fmt.Fprintf(&b, "data: %s\n\n", f)
	}
	return b.String()
}

func newEngine(t *testing.T, cfg Config) *Engine {
	t.Helper()
	if cfg.Kind == "" {
		cfg.Kind = "openai"
	}
	if cfg.Model == "" {
		cfg.Model = "m"
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func chatRequest(n int) *llm.Request {
	return &llm.Request{
		ID: "r", N: n, Sampling: llm.UnsetSampling(),
		Prompt: llm.Prompt{Chat: &llm.Chat{Messages: json.RawMessage(`[{"role":"user","content":"hi"}]`), AddGenerationPrompt: true}},
	}
}

func textRequest(n int) *llm.Request {
	r := chatRequest(n)
	r.Prompt = llm.Prompt{IDs: []int32{1, 2, 3}}
	r.Sampling.MaxTokens = 100
	return r
}

// answer is a choice put together.
type answer struct {
	text     map[llm.Channel]string
	ids      []int32
	tokens   int
	logprobs []llm.Logprobs
	finish   []llm.Finish
}

func (a *answer) raw() string { return a.text[llm.ChannelRaw] }

// collect reads a stream to its end and checks the law: one Finish a choice,
// as its last delta.
func collect(t *testing.T, s llm.Stream, n int) []answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out := make([]answer, n)
	for i := range out {
		out[i].text = map[llm.Channel]string{}
	}
	for {
		deltas, err := s.Recv(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("Recv: %v", err)
		}
		for _, d := range deltas {
			a := &out[d.Choice]
			if len(a.finish) > 0 {
				t.Fatalf("choice %d: a delta after its finish: %+v", d.Choice, d)
			}
			a.text[d.Channel] += d.Text
			a.ids = append(a.ids, d.IDs...)
			a.tokens += d.Tokens
			a.logprobs = append(a.logprobs, d.Logprobs...)
			if d.Finish != nil {
				a.finish = append(a.finish, *d.Finish)
			}
		}
	}
	for i := range out {
		if len(out[i].finish) != 1 {
			t.Fatalf("choice %d has %d finishes", i, len(out[i].finish))
		}
	}
	return out
}

func ask(t *testing.T, e *Engine, req *llm.Request) []answer {
	t.Helper()
	s, err := e.Submit(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return collect(t, s, req.N)
}

// leakCheck fails the test if it leaves goroutines behind.
func leakCheck(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<16)
				t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
				return
			}
			runtime.Gosched()
		}
	})
}
