package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

const (
	thought = "Let me see: é, 日本, 😀.\n"
	answer  = "It is <b>42</b> & no more."
	raw     = "<think>\n" + thought + "</think>\n\n" + answer
)

// fixture is a server on a loopback port over a scripted engine.
type fixture struct {
	*Server
	engine *scripted.Engine
	addr   string
	client *http.Client
	logs   *logBuffer
}

// fixtures are the tests that have one: the first is closed last and counts
// the goroutines.
var fixtures sync.Map

// begin starts a server; it is closed, and its goroutines are gone, when the
// test ends.
func begin(t *testing.T, cfg Config, script scripted.Config) *fixture {
	t.Helper()
	before := runtime.NumGoroutine()
	_, another := fixtures.LoadOrStore(t.Name(), true)
	if script.Script == nil {
		script.Script = spell(raw, 3)
	}
	if script.End.Reason == "" {
		script.End = llm.Finish{Reason: llm.FinishStop, StopID: 1273}
	}
	f := &fixture{engine: scripted.New(script), logs: &logBuffer{}}
	if cfg.Models == nil {
		cfg.Models = append(cfg.Models, tinyModel(t, f.engine))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewJSONHandler(f.logs, nil))
	}
	cfg.Version = "test"
	var err error
	if f.Server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- f.Serve(context.Background(), l) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	f.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := f.engine.Close(); err != nil {
			t.Error(err)
		}
		if !another {
			eventually(t, "goroutines are gone", func() bool { return runtime.NumGoroutine() <= before+2 })
		}
	})
	return f
}

// spell scripts a text in pieces of n characters.
func spell(text string, n int) func(*llm.Request, int) []scripted.Step {
	var steps []scripted.Step
	for runes := []rune(text); len(runes) > 0; {
		k := min(n, len(runes))
		steps, runes = append(steps, scripted.Step{Text: string(runes[:k])}), runes[k:]
	}
	return func(*llm.Request, int) []scripted.Step { return steps }
}

// eventually waits a short while for what must become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("it did not happen that %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

func (f *fixture) url(path string) string { return "http://" + f.addr + path }

// idle says that the engine holds nothing of anybody's.
func (f *fixture) idle() bool {
	s := f.engine.Stats()
	return s.Running == 0 && s.Waiting == 0 && f.gate.running() == 0
}

// response is an answer read to its end.
type response struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(t *testing.T, method, path, body string, header ...string) response {
	t.Helper()
	req, err := http.NewRequest(method, f.url(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return response{resp.StatusCode, resp.Header, string(b)}
}

func (f *fixture) chat(t *testing.T, body string, header ...string) response {
	t.Helper()
	return f.do(t, http.MethodPost, "/v1/chat/completions", body, header...)
}

// ask is a chat body with more members.
func ask(more ...string) string {
	return `{"messages":[{"role":"user","content":"What is it?"}]` + strings.Join(append([]string{""}, more...), ",") + `}`
}

// envelope checks an error's whole form and returns it.
func envelope(t *testing.T, r response) openai.ErrorDetail {
	t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("an error of type %q: %.200s", got, r.body)
	}
	return parseEnvelope(t, r.body)
}

func parseEnvelope(t *testing.T, body string) openai.ErrorDetail {
	t.Helper()
	var e map[string]map[string]any
	if err := json.Unmarshal([]byte(body), &e); err != nil || len(e) != 1 || len(e["error"]) != 4 {
		t.Fatalf("not an error envelope: %.300q", body)
	}
	var typed openai.ErrorResponse
	if err := json.Unmarshal([]byte(body), &typed); err != nil || typed.Error.Message == "" || typed.Error.Type == "" {
		t.Fatalf("an incomplete error: %.300q", body)
	}
	return typed.Error
}

// told is a stream as a client puts it together.
type told struct {
	reasoning, content, finish map[int]string
	roles, finishes            map[int]int
	ids                        map[string]bool
	usage                      *openai.Usage
	done                       bool
	errored                    string // the error event's data
	comments                   int
}

// readStream reads a stream to its end and checks its grammar.
func readStream(t *testing.T, body io.Reader) (told, error) {
	got := told{map[int]string{}, map[int]string{}, map[int]string{}, map[int]int{}, map[int]int{}, map[string]bool{}, nil, false, "", 0}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
			continue
		case got.done || got.errored != "":
			t.Errorf("after the end: %q", line)
		case strings.HasPrefix(line, ":"):
			got.comments++
		case line == "data: [DONE]":
			got.done = true
		case strings.HasPrefix(line, `data: {"error"`):
			got.errored = strings.TrimPrefix(line, "data: ")
		case strings.HasPrefix(line, "data: "):
			got.chunk(t, line[6:])
		default:
			t.Errorf("not an event: %q", line)
		}
	}
	return got, lines.Err()
}

func (got *told) chunk(t *testing.T, data string) {
	var c openai.ChatCompletionChunk
	d := json.NewDecoder(strings.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		t.Errorf("chunk %q: %v", data, err)
		return
	}
	got.ids[c.ID] = true
	if c.Usage != nil {
		if len(c.Choices) > 0 || got.usage != nil {
			t.Errorf("usage beside choices or twice: %s", data)
		}
		got.usage = c.Usage
		return
	}
	if len(c.Choices) != 1 {
		t.Errorf("%d choices in a chunk: %s", len(c.Choices), data)
		return
	}
	got.choice(t, c.Choices[0], data)
}

func (got *told) choice(t *testing.T, c openai.ChunkChoice, data string) {
	i, parts := c.Index, 0
	if got.finishes[i] > 0 {
		t.Errorf("choice %d goes on after its finish: %s", i, data)
	}
	if c.Delta.Role != nil {
		got.roles[i]++
		parts++
	}
	if r := c.Delta.ReasoningContent; r != nil {
		parts++
		got.reasoning[i] += *r
		if *r == "" || c.Delta.Reasoning == nil || *c.Delta.Reasoning != *r {
			t.Errorf("reasoning under its two names differs, or is empty: %s", data)
		}
	}
	if s := c.Delta.Content; s != nil {
		parts++
		got.content[i] += *s
		if *s == "" {
			t.Errorf("empty content: %s", data)
		}
	}
	if c.FinishReason != nil {
		parts++
		got.finishes[i]++
		got.finish[i] = *c.FinishReason
	}
	if parts != 1 || got.roles[i] > 1 {
		t.Errorf("a chunk with %d parts after %d roles: %s", parts, got.roles[i], data)
	}
}

// whole checks a stream's law: one id; for each choice one role, one finish;
// [DONE] last.
func (got told) whole(n int) error {
	if len(got.ids) != 1 || !got.done || got.errored != "" || len(got.roles) != n || len(got.finishes) != n {
		return fmt.Errorf("%d ids, %d roles, %d finishes, done %v, error %q", len(got.ids), len(got.roles), len(got.finishes), got.done, got.errored)
	}
	for i := range n {
		if got.roles[i] != 1 || got.finishes[i] != 1 {
			return fmt.Errorf("choice %d: %d roles, %d finishes", i, got.roles[i], got.finishes[i])
		}
	}
	return nil
}

func (f *fixture) streamChat(t *testing.T, body string) told {
	t.Helper()
	got, err := f.tryStream(t, context.Background(), body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (f *fixture) tryStream(t *testing.T, ctx context.Context, body string) (told, error) {
	resp, err := f.post(ctx, body)
	if err != nil {
		return told{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		b, _ := io.ReadAll(resp.Body)
		return told{}, fmt.Errorf("status %d: %s", resp.StatusCode, b)
	}
	return readStream(t, resp.Body)
}

func (f *fixture) post(ctx context.Context, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url("/v1/chat/completions"), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return f.client.Do(req)
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
