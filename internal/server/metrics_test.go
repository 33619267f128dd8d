package server

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// figures are the series of /metrics by name and labels, as they are written.
func figures(t *testing.T, f *fixture) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(f.do(t, "GET", "/metrics", "").body) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, "#") || !ok {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[name] = v
	}
	return all
}

// generating are the endpoints that make text, with a request of each.
var generating = []struct{ path, body string }{
	{"/v1/chat/completions", `{"messages":[{"role":"user","content":"?"}]}`},
	{"/v1/chat/completions", `{"messages":[{"role":"user","content":"?"}],"stream":true}`},
	{"/v1/completions", `{"prompt":"?","max_tokens":100}`},
	{"/v1/completions", `{"prompt":["?"],"max_tokens":100,"stream":true}`},
	{"/v1/messages", `{"model":"tiny","max_tokens":100,"messages":[{"role":"user","content":"?"}]}`},
	{"/v1/messages", `{"model":"tiny","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"?"}]}`},
	{"/v1/responses", `{"input":"?"}`},
	{"/v1/responses", `{"input":"?","stream":true}`},
	{"/api/chat", `{"model":"tiny","stream":false,"messages":[{"role":"user","content":"?"}]}`},
	{"/api/chat", `{"model":"tiny","messages":[{"role":"user","content":"?"}]}`},
	{"/api/generate", `{"model":"tiny","stream":false,"prompt":"?"}`},
	{"/api/generate", `{"model":"tiny","prompt":"?"}`},
	{"/generate", `{"text":"?"}`},
	{"/generate", `{"text":["?"],"stream":true}`},
}

// Whatever the dialect, a request has all its phases in the metrics.
func TestEveryEndpointFeedsTheMetrics(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, g := range generating {
		before := figures(t, f)
		r := f.do(t, "POST", g.path, g.body)
		if r.status != 200 {
			t.Errorf("%s %s: %d %s", g.path, g.body, r.status, r.body)
			continue
		}
		// The last figures come with the request's end, just after its last byte.
		eventually(t, "the request has ended", f.idle)
		after := figures(t, f)
		grew := func(name string, more float64) {
			t.Helper()
			if got := after[name] - before[name]; got != more {
				t.Errorf("%s %s: %s grew by %g, want %g", g.path, g.body, name, got, more)
			}
		}
		thought := 1.0
		if g.path == "/v1/completions" { // the text as it is
			thought = 0
		}
		grew(`reasond_request_success_total{finished_reason="stop",model="tiny-reasoner"}`, 1)
		grew(`reasond_reasoning_stops_total{model="tiny-reasoner",reasoning_stop="natural"}`, thought)
		for _, name := range []string{"time_to_first_reasoning", "reasoning"} {
			grew("reasond_"+name+`_seconds_count{model="tiny-reasoner"}`, thought)
		}
		grew(`reasond_request_reasoning_tokens_count{model="tiny-reasoner"}`, thought)
		for _, name := range []string{"time_to_first_token", "time_to_first_answer", "e2e_request_latency", "request_queue_time", "request_prefill_time", "request_decode_time", "request_inference_time"} {
			grew("reasond_"+name+`_seconds_count{model="tiny-reasoner"}`, 1)
		}
	}
}

// What is not shown, or not told apart, was thought all the same.
func TestHiddenThoughtsAreMeasured(t *testing.T) {
	for _, member := range []string{`"include_reasoning":false`, `"stream_reasoning":false`, `"separate_reasoning":false`, `"reasoning_format":"deepseek-legacy"`} {
		f := begin(t, Config{}, scripted.Config{StepTime: time.Millisecond})
		f.streamChat(t, ask(`"stream":true`, member))
		got := figures(t, f)
		first, answered := got[`reasond_time_to_first_reasoning_seconds_sum{model="tiny-reasoner"}`], got[`reasond_time_to_first_answer_seconds_sum{model="tiny-reasoner"}`]
		if n := got[`reasond_time_to_first_reasoning_seconds_count{model="tiny-reasoner"}`]; n != 1 || answered-first < .006 { // 8 steps
			t.Errorf("%s: %g thoughts, the first after %g s and the answer after %g s", member, n, first, answered)
		}
	}
}

// The server's sums agree with the client's stopwatch within 5 ms.
func TestTheSumsAgreeWithTheClientsStopwatch(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	// A machine that is busy may hold up either side; a wrong measure is wrong each
	// time.
	var diffs []string
	for range 3 {
		if diffs = stopwatch(t); diffs == nil {
			return
		}
	}
	t.Error(strings.Join(diffs, "\n"))
}

func stopwatch(t *testing.T) (diffs []string) {
	const step = 4 * time.Millisecond
	f := begin(t, Config{}, scripted.Config{StepTime: step})
	var began, thought, thoughtEnd, answered, ended time.Time
	began = time.Now()
	err := f.watch(ask(`"stream":true`), func(line string) {
		now := time.Now()
		switch {
		case strings.Contains(line, `"reasoning_content":"`):
			if thoughtEnd = now; thought.IsZero() {
				thought = now
			}
		case strings.Contains(line, `"content":"`) && answered.IsZero():
			answered = now
		}
		ended = now
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request has ended", f.idle)
	got := figures(t, f)
	for name, want := range map[string]time.Duration{
		"time_to_first_token":     thought.Sub(began),
		"time_to_first_reasoning": thought.Sub(began),
		"time_to_first_answer":    answered.Sub(began),
		"reasoning":               thoughtEnd.Sub(thought),
		"e2e_request_latency":     ended.Sub(began),
	} {
		sum := got["reasond_"+name+`_seconds_sum{model="tiny-reasoner"}`]
		if d := math.Abs(sum - want.Seconds()); d > .005 {
			diffs = append(diffs, fmt.Sprintf("%s: %.1f ms, by the client %.1f ms", name, sum*1e3, want.Seconds()*1e3))
		}
	}
	tokens := got[`reasond_inter_token_latency_seconds_sum{model="tiny-reasoner",phase="reasoning"}`] + got[`reasond_inter_token_latency_seconds_sum{model="tiny-reasoner",phase="answer"}`]
	if want := ended.Sub(thought).Seconds(); math.Abs(tokens-want) > .005 {
		diffs = append(diffs, fmt.Sprintf("the time of all tokens: %.1f ms, by the client %.1f ms", tokens*1e3, want*1e3))
	}
	return diffs
}

// watch tells each line of a streamed chat as it comes.
func (f *fixture) watch(body string, line func(string)) error {
	resp, err := f.post(context.Background(), body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line(lines.Text())
	}
	return lines.Err()
}

// The queue's time is that in which another request has the slot.
func TestQueueTimeIsTheEnginesQueue(t *testing.T) {
	wait := make(chan struct{})
	steps := append([]scripted.Step{{Wait: wait}}, spell(raw, 3)(nil, 0)...)
	f := begin(t, Config{}, scripted.Config{Slots: 1, Script: func(*llm.Request, int) []scripted.Step { return steps }})
	done := make(chan struct{})
	began := time.Now()
	for range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			f.chat(t, ask())
		}()
	}
	eventually(t, "one runs and one waits", func() bool { s := f.engine.Stats(); return s.Running == 1 && s.Waiting == 1 })
	waits := time.Now()
	figure := figures(t, f)
	if figure[`reasond_num_requests_waiting{model="tiny-reasoner"}`] != 1 || figure[`reasond_num_requests_running{model="tiny-reasoner"}`] != 1 {
		t.Error("the gauges do not show who waits and who runs")
	}
	least := time.Since(waits)
	close(wait)
	<-done
	<-done
	queued := figures(t, f)[`reasond_request_queue_time_seconds_sum{model="tiny-reasoner"}`]
	if most := time.Since(began).Seconds(); queued < least.Seconds() || queued > 2*most {
		t.Errorf("queued for %g s; it was at least %g s", queued, least.Seconds())
	}
}

func TestMetricsUnderAnothersNames(t *testing.T) {
	f := begin(t, Config{Compat: []string{"vllm"}}, scripted.Config{})
	f.chat(t, ask())
	got := figures(t, f)
	for name, want := range map[string]float64{
		`vllm:request_success_total{engine="0",finished_reason="stop",model_name="tiny-reasoner"}`: 1,
		`vllm:time_to_first_token_seconds_count{engine="0",model_name="tiny-reasoner"}`:            1,
		`vllm:num_requests_running{engine="0",model_name="tiny-reasoner"}`:                         0,
		`reasond_num_requests_running{model="tiny-reasoner"}`:                                      0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: %v %v", name, v, ok)
		}
	}
	if _, err := New(Config{Compat: []string{"tgi"}}); err == nil {
		t.Error("a server that nobody knows")
	}
}
