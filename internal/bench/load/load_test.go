package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server answers requests by a script, in the bubble's time: no clock of the
// machine has a part in these tests.
type server struct {
	status int
	body   string // of an answer that is no stream
	err    error  // instead of an answer
	script func(say func(after time.Duration, line string))

	mu           sync.Mutex
	bodies       []map[string]any
	now, most    int
	header, path string
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, body)
	s.now++
	s.most = max(s.most, s.now)
	s.header, s.path = req.Header.Get("Authorization"), req.URL.Path
	s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if s.script == nil {
		return &http.Response{StatusCode: max(s.status, 200), Body: io.NopCloser(strings.NewReader(s.body))}, nil
	}
	r, w := io.Pipe()
	go func() {
		defer w.Close()
		defer func() {
			s.mu.Lock()
			s.now--
			s.mu.Unlock()
		}()
		s.script(func(after time.Duration, line string) {
			select {
			case <-time.After(after):
				_, _ = io.WriteString(w, line+"\n\n")
			case <-req.Context().Done():
				_ = w.CloseWithError(req.Context().Err())
			}
		})
	}()
	return &http.Response{StatusCode: 200, Body: r}, nil
}

func delta(field, text string) string {
	return fmt.Sprintf(`data: {"choices":[{"index":0,"delta":{%q:%q},"finish_reason":null}]}`, field, text)
}

const (
	role   = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`
	end    = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}`
	counts = `data: {"choices":[],"usage":{"prompt_tokens":40,"completion_tokens":12,"prompt_tokens_details":{"cached_tokens":32},"completion_tokens_details":{"reasoning_tokens":3}}}`
	done   = "data: [DONE]"
)

// thought takes 1180 ms: 300 to the first token, 360 to the first of the answer, one
// gap of 200, the others of 20 or 30.
func thought(say func(time.Duration, string)) {
	say(100*ms, role)
	say(200*ms, delta("reasoning_content", "so"))
	say(0, ": a comment")
	say(30*ms, delta("reasoning_content", " it"))
	say(30*ms, delta("content", "12"))
	for range 5 {
		say(20*ms, delta("content", "."))
	}
	say(200*ms, delta("content", "!"))
	say(500*ms, end)
	say(20*ms, counts)
	say(0, done)
}

const ms = time.Millisecond

func config(s *server) Config {
	return Config{
		URL: "http://there:1/", Model: "m", Concurrency: 1, Requests: 1, MaxTokens: 12, Stream: true,
		Prompts: &Prompts{Words: []int{5}}, Client: &http.Client{Transport: s},
	}
}

func TestTimesAreThoseOfTheScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{script: thought}
		cfg := config(s)
		cfg.Key = "secret"
		out, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		r := out.Requests[0]
		if r.Kind != "" || r.First != 300*ms || r.Answer != 360*ms || r.Total != 1180*ms || out.Wall != 1180*ms {
			t.Errorf("%+v, wall %s", r, out.Wall)
		}
		if want := []time.Duration{30 * ms, 30 * ms, 20 * ms, 20 * ms, 20 * ms, 20 * ms, 20 * ms, 200 * ms}; !slices.Equal(r.gaps(), want) {
			t.Errorf("gaps %v", r.gaps())
		}
		if r.Prompt != 40 || r.Cached != 32 || r.Completion != 12 || r.Reasoning != 3 {
			t.Errorf("tokens %+v", r)
		}
		if r.perToken() != 360*ms/11 {
			t.Errorf("a token takes %s", r.perToken())
		}
		if s.path != "/v1/chat/completions" || s.header != "Bearer secret" {
			t.Errorf("asked %s with %q", s.path, s.header)
		}
	})
}

func TestASummaryIsOfRequestsWithoutAnError(t *testing.T) {
	at := func(list ...int) (d []time.Duration) {
		for _, v := range list {
			d = append(d, time.Duration(v)*ms)
		}
		return d
	}
	out := &Outcome{Wall: 2 * time.Second, Interrupted: 1, Requests: []Request{
		{First: 100 * ms, Answer: 200 * ms, Total: 400 * ms, At: at(100, 200, 300), Prompt: 10, Completion: 6},
		{First: 300 * ms, Total: 500 * ms, At: at(300, 310), Prompt: 30, Completion: 2},
		{Kind: "HTTP 429", Err: "busy", Total: ms}, {Kind: "HTTP 429", Err: "still"}, {Kind: kindCut, First: 7000 * ms},
	}}
	cfg := Config{Concurrency: 4, SLO: SLO{TTFT: 150 * ms}}
	l := Summary(&cfg, out)
	if l.Requests != 5 || l.OK != 2 || l.Interrupted != 1 || l.Errors["HTTP 429"] != 2 || l.Errors[kindCut] != 1 || l.Says["HTTP 429"] != "busy" {
		t.Errorf("%+v", l)
	}
	for name, v := range map[string][2]float64{
		"tokens/s": {l.Output, 4}, "prompt tokens/s": {l.Input, 20}, "requests/s": {l.Served, 1}, "goodput": {l.Goodput, 0.5}, "kept": {l.Kept, 0.2},
		"tokens a delta": {l.TokensPerDelta, 1.6}, "prompt": {l.PromptTokens, 20}, "TTFT": {l.TTFT.P50, 200}, "TTFT p90": {l.TTFT.P90, 280},
		"answer": {l.Answer.Max, 200}, "ITL": {l.ITL.P50, 100}, "ITL mean": {l.ITL.Mean, 70}, "TPOT": {l.TPOT.Max, 40}, "e2e": {l.E2E.Mean, 450},
	} {
		if math.Abs(v[0]-v[1]) > 1e-9 {
			t.Errorf("%s is %g, must be %g", name, v[0], v[1])
		}
	}
}

func TestErrorsAreToldByKind(t *testing.T) {
	line := func(lines ...string) func(func(time.Duration, string)) {
		return func(say func(time.Duration, string)) {
			for _, l := range lines {
				say(10*ms, l)
			}
		}
	}
	for name, c := range map[string]struct {
		server *server
		kind   string
		says   string
	}{
		"refused":      {&server{err: errors.New("connection refused")}, kindConnect, "connection refused"},
		"a status":     {&server{status: 429, body: `{"error":{"message":"too many"}}`}, "HTTP 429", "too many"},
		"a bare body":  {&server{status: 502, body: "bad gateway\n"}, "HTTP 502", "bad gateway"},
		"an event":     {&server{script: line(role, delta("content", "a"), `data: {"error":{"message":"lost"}}`)}, kindEvent, "lost"},
		"cut":          {&server{script: line(role, delta("content", "a"))}, kindCut, "ended before"},
		"silent":       {&server{script: line(role, end, done)}, kindEmpty, "no token"},
		"no JSON":      {&server{script: line(`data: {"choices":`)}, kindFormat, "JSON"},
		"slow":         {&server{script: func(say func(time.Duration, string)) { say(time.Minute, role) }}, kindTimeout, "deadline"},
		"fine":         {&server{script: line(delta("content", "a"), end)}, "", ""},
		"done alone":   {&server{script: line(delta("reasoning", "a"), done)}, "", ""},
		"a tool call":  {&server{script: line(`data: {"choices":[{"delta":{"tool_calls":[{}]}}]}`, done)}, "", ""},
		"a completion": {&server{script: line(`data: {"choices":[{"text":"a"}]}`, done)}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(c.server)
				cfg.Timeout = 5 * time.Second
				out, err := Run(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if r := out.Requests[0]; r.Kind != c.kind || !strings.Contains(r.Err, c.says) {
					t.Errorf("%q: %s", r.Kind, r.Err)
				}
			})
		})
	}
}

func second(say func(time.Duration, string)) {
	say(time.Second, delta("content", "a"))
	say(0, done)
}

func TestClientsAskOneRequestAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{script: second}
		cfg := config(s)
		cfg.Concurrency, cfg.Requests = 3, 8
		out, err := Run(t.Context(), cfg)
		if err != nil || len(out.Requests) != 8 || out.Wall != 3*time.Second || s.most != 3 {
			t.Errorf("%v, %d requests in %s, %d at once", err, len(out.Requests), out.Wall, s.most)
		}
		if !slices.IsSortedFunc(out.Requests, func(a, b Request) int { return int(a.Start - b.Start) }) {
			t.Error("requests are not in the order of their starts")
		}
	})
}

func TestNoRequestStartsWhenTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(&server{script: second})
		cfg.Concurrency, cfg.Requests, cfg.For = 2, 0, 2500*ms
		out, err := Run(t.Context(), cfg)
		if err != nil || len(out.Requests) != 6 || out.Wall != 3*time.Second {
			t.Errorf("%v, %d requests in %s", err, len(out.Requests), out.Wall)
		}
	})
}

// Arrivals do not wait for answers, and their gaps have the mean and the deviation
// of the exponential distribution, 1/rate each.
func TestArrivalsAreOfPoissonsProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{script: second}
		cfg := config(s)
		cfg.Concurrency, cfg.Requests, cfg.Rate, cfg.For = 0, 0, 20, 200*time.Second
		out, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var gaps []float64
		for i := 1; i < len(out.Requests); i++ {
			gaps = append(gaps, (out.Requests[i].Start - out.Requests[i-1].Start).Seconds())
		}
		mean, square := 0.0, 0.0
		for _, g := range gaps {
			mean += g / float64(len(gaps))
			square += g * g / float64(len(gaps))
		}
		deviation := math.Sqrt(square - mean*mean)
		if math.Abs(mean*20-1) > 0.05 || math.Abs(deviation*20-1) > 0.05 || s.most < 10 {
			t.Errorf("%d gaps of %.4f s ± %.4f, %d requests at once", len(gaps), mean, deviation, s.most)
		}
	})
}

func TestArrivalsAreBoundedWhereAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{script: second}
		cfg := config(s)
		cfg.Concurrency, cfg.Requests, cfg.Rate = 2, 10, 1000
		out, err := Run(t.Context(), cfg)
		if err != nil || len(out.Requests) != 10 || s.most != 2 {
			t.Errorf("%v, %d requests, %d at once", err, len(out.Requests), s.most)
		}
	})
}

func TestAnInterruptedRunKeepsWhatHasEnded(t *testing.T) {
	for _, rate := range []float64{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4500*ms)
			defer cancel()
			cfg := config(&server{script: second})
			cfg.Concurrency, cfg.Requests, cfg.Rate = 3, 1000, rate
			out, err := Run(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			l := Summary(&cfg, out)
			if l.OK != l.Requests || l.OK == 0 || out.Wall > 4600*ms || rate == 0 && (l.OK != 12 || l.Interrupted != 3) {
				t.Errorf("%+v", l)
			}
		})
	}
}

func TestWholeAnswersAreCountedByUsage(t *testing.T) {
	s := &server{body: `{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":4,"completion_tokens":9}}`}
	cfg := config(s)
	cfg.Stream = false
	out, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r := out.Requests[0]; r.Kind != "" || r.Completion != 9 || r.First != 0 {
		t.Errorf("%+v", r)
	}
	if _, streams := s.bodies[0]["stream_options"]; streams {
		t.Errorf("sent %v", s.bodies[0])
	}
	if l := Summary(&cfg, out); l.TTFT != nil || l.ITL != nil || l.E2E == nil {
		t.Errorf("%+v", l)
	}
}

func TestBodiesSayWhatWasAskedFor(t *testing.T) {
	s := &server{script: second}
	cfg := config(s)
	cfg.IgnoreEOS, cfg.Completions, cfg.Requests = true, true, 2
	cfg.Prompts = &Prompts{List: []Prompt{{Text: "one"}, {Text: "two"}}}
	cfg.Extra = map[string]json.RawMessage{"top_k": json.RawMessage("5"), "temperature": json.RawMessage("1")}
	synctest.Test(t, func(t *testing.T) {
		if _, err := Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	})
	want := map[string]any{
		"model": "m", "prompt": "one", "max_tokens": 12.0, "min_tokens": 12.0, "ignore_eos": true, "stream": true, "temperature": 1.0, "top_k": 5.0,
		"stream_options": map[string]any{"include_usage": true},
	}
	if !maps.EqualFunc(s.bodies[0], want, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) || s.bodies[1]["prompt"] != "two" {
		t.Errorf("sent %v", s.bodies)
	}
	if s.path != "/v1/completions" {
		t.Errorf("asked %s", s.path)
	}
	cfg.Prompts.List[1] = Prompt{Messages: json.RawMessage("[]")}
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "prompt 2") {
		t.Errorf("messages to completions: %v", err)
	}
}
