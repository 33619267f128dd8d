package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// A fault in step k ends that request alone: before the first byte with a
// status, after it with an error event and no [DONE].
func TestStepFaultEndsThatRequestOnly(t *testing.T) {
	script := func(req *llm.Request, _ int) []scripted.Step {
		steps := append([]scripted.Step{}, spell(raw, 1)(nil, 0)...)
		if k := int(req.Sampling.Seed); k > 0 {
			at := &steps[(k-1)%len(steps)]
			at.Err, at.Panic = errors.New("device secret 0xdead"), k%2 == 0
		}
		return steps
	}
	f := begin(t, Config{}, scripted.Config{Script: script})
	want := f.streamChat(t, ask(`"stream":true`, `"seed":0`))
	var wg sync.WaitGroup
	limit := make(chan struct{}, 32)
	for k := 1; k <= 200; k++ {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			f.faulty(t, k)
			got, err := f.tryStream(t, context.Background(), ask(`"stream":true`, `"seed":0`))
			if err != nil || got.whole(1) != nil || got.content[0] != want.content[0] || got.reasoning[0] != want.reasoning[0] {
				t.Errorf("a neighbour of fault %d: %v %v %q", k, err, got.whole(1), got.content[0])
			}
		})
	}
	wg.Wait()
	eventually(t, "nothing is left", f.idle)
	if strings.Contains(f.logs.String(), "goroutine ") {
		t.Error("an engine fault left a stack in the log")
	}
}

func (f *fixture) faulty(t *testing.T, k int) {
	resp, err := f.post(context.Background(), ask(fmt.Sprintf(`"seed":%d`, k), fmt.Sprintf(`"stream":%v`, k%3 > 0)))
	if err != nil {
		t.Errorf("fault %d: %v", k, err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		if e := parseEnvelope(t, string(body)); resp.StatusCode != 500 || strings.Contains(e.Message, "secret") {
			t.Errorf("fault %d: %d %s", k, resp.StatusCode, body)
		}
		return
	}
	got, err := readStream(t, resp.Body)
	if err != nil || got.done || got.errored == "" || k%3 == 0 {
		t.Errorf("fault %d: %v, done %v, error %q", k, err, got.done, got.errored)
		return
	}
	if e := parseEnvelope(t, got.errored); e.Type != "server_error" || strings.Contains(e.Message, "secret") {
		t.Errorf("fault %d: %+v", k, e)
	}
}

// An engine that breaks its promises in the request's own goroutine.
type panicEngine struct {
	*scripted.Engine
	inSubmit bool
	after    int // deltas before Recv panics
}

type panicStream struct {
	llm.Stream
	left *int
}

func (e panicEngine) Submit(ctx context.Context, req *llm.Request) (llm.Stream, error) {
	if e.inSubmit {
		panic("submit\x1b[31m\n")
	}
	s, err := e.Engine.Submit(ctx, req)
	return panicStream{s, &e.after}, err
}

func (s panicStream) Recv(ctx context.Context) ([]llm.Delta, error) {
	if *s.left--; *s.left < 0 {
		panic(errors.New("recv"))
	}
	return s.Stream.Recv(ctx)
}

func TestPanicIsThatRequestsErrorAndStaysInTheLog(t *testing.T) {
	for _, c := range []struct {
		name   string
		engine panicEngine
		stream bool
		event  bool
	}{
		{"submit", panicEngine{inSubmit: true}, false, false},
		{"submit, stream", panicEngine{inSubmit: true}, true, false},
		{"first event", panicEngine{}, false, false},
		{"first event, stream", panicEngine{}, true, false},
		{"later, stream", panicEngine{after: 8}, true, true},
		{"later", panicEngine{after: 8}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.engine.Engine = scripted.New(scripted.Config{Script: spell(raw, 2), StepTime: 1e6})
			m := tinyModel(t, c.engine)
			f := begin(t, Config{Models: models(m)}, scripted.Config{})
			for range 20 {
				r := f.chat(t, ask(fmt.Sprintf(`"stream":%v`, c.stream)))
				if c.event {
					i := strings.Index(r.body, `data: {"error"`)
					if r.status != 200 || i < 0 || strings.Contains(r.body, "[DONE]") {
						t.Fatalf("%d %s", r.status, r.body)
					}
					parseEnvelope(t, strings.TrimSpace(r.body[i+6:]))
				} else if r.status != 500 || envelope(t, r).Message != "internal server error" {
					t.Fatalf("%d %s", r.status, r.body)
				}
				if strings.Contains(r.body, "goroutine") || strings.Contains(r.body, "recv") {
					t.Fatalf("the client sees the fault: %s", r.body)
				}
			}
			if !strings.Contains(f.logs.String(), `"stack":"goroutine`) {
				t.Error("no stack in the log")
			}
			if r := f.do(t, "GET", "/healthz", ""); r.status != 200 {
				t.Errorf("/healthz %d", r.status)
			}
			if err := c.engine.Close(); err != nil {
				t.Error(err)
			}
			if n := c.engine.Stats(); n.Running+n.Waiting > 0 {
				t.Errorf("%d slots are still taken", n.Running+n.Waiting)
			}
		})
	}
}
