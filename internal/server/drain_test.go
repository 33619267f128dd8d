package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// drainWith starts n streams that wait, drains, and returns their results with
// what Drain said.
func drainWith(t *testing.T, n int, limit time.Duration, release bool) (streams []told, cut error, took time.Duration) {
	hold := make(chan struct{})
	f := begin(t, Config{KeepAlive: 20 * time.Millisecond}, scripted.Config{Script: at(12, hold)})
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			got, err := f.tryStream(t, context.Background(), ask(`"stream":true`))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			streams = append(streams, got)
		})
	}
	eventually(t, "all stream", func() bool { return f.engine.Stats().Running == n && f.engine.Stats().OutputTokens == uint64(12*n) })
	if r := f.do(t, "GET", "/readyz", ""); r.status != 200 {
		t.Errorf("/readyz before: %d", r.status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- f.Drain(ctx) }()
	eventually(t, "it drains", f.gate.draining)
	for path, method := range map[string]string{"/readyz": "GET", "/health": "GET", "/v1/chat/completions": "POST"} {
		r := f.do(t, method, path, ask())
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || envelope(t, r).Type != "server_error" {
			t.Errorf("%s while draining: %d %s", path, r.status, r.body)
		}
	}
	if r := f.do(t, "GET", "/healthz", ""); r.status != 200 {
		t.Errorf("/healthz while draining: %d", r.status)
	}
	if release {
		close(hold)
	} else {
		defer close(hold)
	}
	wg.Wait()
	cut = <-done
	took = time.Since(start)
	if _, err := net.DialTimeout("tcp", f.addr, time.Second); err == nil {
		t.Error("it still listens")
	}
	return streams, cut, took
}

func TestDrainLetsStreamsFinish(t *testing.T) {
	streams, cut, _ := drainWith(t, 100, 10*time.Second, true)
	if cut != nil {
		t.Errorf("Drain: %v", cut)
	}
	for _, got := range streams {
		if err := got.whole(1); err != nil || !strings.HasSuffix(got.content[0], answer) {
			t.Errorf("%v: %q", err, got.content[0])
		}
	}
}

func TestDrainLimitEndsTheRestWithAnErrorEvent(t *testing.T) {
	streams, cut, took := drainWith(t, 20, time.Second, false)
	if !errors.Is(cut, context.DeadlineExceeded) || took > 10*time.Second {
		t.Errorf("Drain: %v after %v", cut, took)
	}
	for _, got := range streams {
		if got.done || got.errored == "" {
			t.Fatalf("done %v, error %q", got.done, got.errored)
		}
		if e := parseEnvelope(t, got.errored); *e.Code != "stopping" {
			t.Errorf("%+v", e)
		}
	}
}

// A second signal: Close during Drain ends both.
func TestCloseDuringDrain(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	f := begin(t, Config{}, scripted.Config{Script: at(5, hold)})
	got := make(chan response, 1)
	go func() {
		resp, err := f.post(context.Background(), ask())
		if err == nil {
			resp.Body.Close()
		}
		got <- response{}
	}()
	eventually(t, "it runs", func() bool { return f.gate.running() == 1 })
	drained := make(chan error, 1)
	go func() { drained <- f.Drain(context.Background()) }()
	eventually(t, "it drains", f.gate.draining)
	start := time.Now()
	_ = f.Close()
	<-got
	<-drained
	if took := time.Since(start); took > 10*time.Second { // the answer never ends by itself
		t.Errorf("closed after %v", took)
	}
}

// stuck reports a stall, as an engine does whose step does not return.
type stuck struct {
	*scripted.Engine
	stalled func() bool
}

func (e stuck) Stats() llm.Stats {
	s := e.Engine.Stats()
	s.Stalled = e.stalled()
	return s
}

func TestStalledEngineIsNotReadyAndHoldsNobody(t *testing.T) {
	hold := make(chan struct{})
	var mu sync.Mutex
	isStalled := false
	engine := stuck{scripted.New(scripted.Config{Script: at(12, hold)}), func() bool { mu.Lock(); defer mu.Unlock(); return isStalled }}
	f := begin(t, Config{KeepAlive: 40 * time.Millisecond, Models: models(tinyModel(t, engine))}, scripted.Config{})
	results := make(chan response, 2)
	for _, more := range []string{`"stream":false`, `"stream":true`} {
		go func() { results <- f.chat(t, ask(more)) }()
	}
	eventually(t, "they run", func() bool { return engine.Engine.Stats().OutputTokens == 24 })
	mu.Lock()
	isStalled = true
	mu.Unlock()
	if r := f.do(t, "GET", "/readyz", ""); r.status != 503 || *envelope(t, r).Code != "engine_stalled" {
		t.Errorf("/readyz: %d", r.status)
	}
	if r := f.do(t, "GET", "/healthz", ""); r.status != 200 {
		t.Errorf("/healthz: %d", r.status)
	}
	if r := f.chat(t, ask()); r.status != 503 {
		t.Errorf("a new request: %d", r.status)
	}
	for range 2 {
		if r := <-results; !strings.Contains(r.body, "engine_stalled") || strings.Contains(r.body, "[DONE]") {
			t.Errorf("a waiting request: %d %s", r.status, r.body)
		}
	}
	close(hold)
	if err := engine.Close(); err != nil {
		t.Error(err)
	}
}

// reborn is an engine whose lost device is being opened anew.
type reborn struct{ *scripted.Engine }

func (e reborn) Stats() llm.Stats {
	s := e.Engine.Stats()
	s.Restarting, s.Restarts = true, 2
	return s
}

func TestRestartingEngineIsNotReadyAndTakesRequests(t *testing.T) {
	engine := reborn{scripted.New(scripted.Config{Script: scripted.Texts("hello", 2)})}
	f := begin(t, Config{Models: models(tinyModel(t, engine))}, scripted.Config{})
	if r := f.do(t, "GET", "/readyz", ""); r.status != 503 || *envelope(t, r).Code != "engine_restarting" {
		t.Errorf("/readyz: %d", r.status)
	}
	if r := f.chat(t, ask()); r.status != 200 {
		t.Errorf("a new request: %d %s", r.status, r.body)
	}
	if r := f.do(t, "GET", "/metrics", ""); !strings.Contains(r.body, "reasond_engine_restarts_total{model=\"tiny-reasoner\"} 2") {
		t.Error("/metrics has no restarts")
	}
}

// away is an engine whose upstream does not answer its health check.
type away struct{ *scripted.Engine }

func (e away) Stats() llm.Stats {
	s := e.Engine.Stats()
	s.Unreachable = true
	return s
}

func TestAnUpstreamThatIsAwayIsNotReadyButTried(t *testing.T) {
	engine := away{scripted.New(scripted.Config{Script: spell(raw, 3)})}
	f := begin(t, Config{Models: models(tinyModel(t, engine))}, scripted.Config{})
	if r := f.do(t, "GET", "/readyz", ""); r.status != 503 || *envelope(t, r).Code != "upstream_unreachable" {
		t.Errorf("/readyz: %d", r.status)
	}
	if r := f.chat(t, ask()); r.status != 200 {
		t.Errorf("a request: %d %s", r.status, r.body)
	}
	if err := engine.Close(); err != nil {
		t.Error(err)
	}
}

// A lost device ends what it ran: an error event where a stream has begun, a
// status that says when to come back elsewhere.
func TestALostDeviceTellsTheClientToSendItAgain(t *testing.T) {
	lost := &llm.Error{Kind: llm.Stopping, Code: "device_lost", Message: "send the request again", RetryAfter: time.Second, Err: errors.New("illegal address")}
	engine := scripted.New(scripted.Config{Script: func(*llm.Request, int) []scripted.Step {
		return []scripted.Step{{Text: "hel"}, {Err: lost}}
	}})
	f := begin(t, Config{Models: models(tinyModel(t, engine))}, scripted.Config{})
	r := f.chat(t, ask(`"stream":false`))
	if r.status != 503 || *envelope(t, r).Code != "device_lost" || strings.Contains(r.body, "illegal") {
		t.Errorf("%d %s", r.status, r.body)
	}
	r = f.chat(t, ask(`"stream":true`))
	if r.status != 200 || !strings.Contains(r.body, "device_lost") || !strings.Contains(r.body, "send the request again") || strings.Contains(r.body, "[DONE]") || strings.Contains(r.body, "illegal") {
		t.Errorf("%d %s", r.status, r.body)
	}
}
