package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// metrics are the values of /metrics without labels other than the model.
func (p *process) metrics() map[string]float64 {
	p.t.Helper()
	res, err := http.Get(p.base + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	values := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			values[strings.TrimSuffix(name, `{model="tiny-reasoner"}`)] = v
		}
	}
	return values
}

// idle waits until the engine holds no request and checks that it holds no page
// either.
func (p *process) idle() map[string]float64 {
	p.t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		m := p.metrics()
		free, total := m["reasond_kv_pages_free"], m["reasond_kv_pages"]
		if m["reasond_num_requests_running"] == 0 && m["reasond_num_requests_waiting"] == 0 && free == total && total > 0 {
			return m
		}
		if time.Now().After(limit) {
			p.t.Fatalf("still busy: %v", m)
		}
	}
}

// words is a request for tokens tokens of its own prompt.
func words(i, tokens int) string {
	return fmt.Sprintf(`{"model":"default","stream":true,"ignore_eos":true,"max_tokens":%d,"temperature":0,
		"messages":[{"role":"user","content":"Reverse the word 'planet%d', %s please."}]}`, tokens, i, strings.Repeat("very slowly, ", i))
}

// text folds a stream's events without their ids and times.
func text(events []string) string {
	for i, e := range events {
		if _, choices, ok := strings.Cut(e, `"choices":`); ok {
			events[i] = choices
		}
	}
	return strings.Join(events, "\n")
}

// Half of 32 clients go away, in the queue, in prefill or while their answer is
// written; the others' answers are the same as alone, and nothing stays behind.
func TestClientsThatGoAwayHurtNobody(t *testing.T) {
	p := start(t, "--max-num-seqs", "6", "--max-num-batched-tokens", "24")
	const clients = 32
	alone := make([]string, clients)
	for i := range alone {
		if i%2 == 1 {
			events, err := p.stream(words(i, 60), func() {})
			if err != nil {
				t.Fatal(err)
			}
			alone[i] = content(events)
		}
	}
	var all sync.WaitGroup
	var early, late atomic.Int32
	for i := range clients {
		all.Go(func() {
			if i%2 == 0 {
				// Prompts that no cache holds, so that there is a prefill to leave in.
				if leave(t, p, words(32+i, 60), rand.IntN(100), i%4/2*(1+rand.IntN(50))) {
					late.Add(1)
				} else {
					early.Add(1)
				}
				return
			}
			events, err := p.stream(words(i, 60), func() {})
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			if got := content(events); got != alone[i] {
				t.Errorf("client %d:\n got %q\nwant %q", i, got, alone[i])
			}
			if n := len(events); n == 0 || events[n-1] != "[DONE]" || strings.Count(text(events), `"finish_reason":"`) != 1 {
				t.Errorf("client %d ended with %q", i, events[max(0, n-2):])
			}
		})
	}
	all.Wait()
	p.idle()
	p.answers()
	t.Logf("%d left before their answer began, %d in it", early.Load(), late.Load())
	if late.Load() < clients/4 {
		t.Errorf("only %d left in their answer", late.Load())
	}
}

// leave asks and goes away: after some milliseconds, or if events is over 0 after
// that many events. It reports whether the answer had begun.
func leave(t *testing.T, p *process, body string, milliseconds, events int) (begun bool) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if events == 0 {
		defer time.AfterFunc(time.Duration(milliseconds)*time.Millisecond, cancel).Stop()
	}
	res, err := p.post(ctx, body)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "data: ") {
			continue
		}
		if events--; events == 0 {
			break
		}
	}
	return true
}

// A client that goes away while its prompt is computed ends that computation.
func TestAPromptWhoseClientHasGoneIsNotComputed(t *testing.T) {
	p := start(t, "--max-num-batched-tokens", "4")
	cut := 0
	computed := func() float64 { return p.metrics()["reasond_prefill_tokens_total"] }
	for i := range 5 {
		before := p.idle()
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			if res, err := p.post(ctx, words(200+i, 5)); err == nil {
				res.Body.Close()
			}
		}()
		for limit := time.Now().Add(time.Minute); computed() == before["reasond_prefill_tokens_total"]; {
			if time.Now().After(limit) {
				t.Fatal("the prompt is not computed")
			}
		}
		cancel()
		<-left
		after := p.idle()
		grown := func(name string) float64 { return after[name] - before[name] }
		t.Logf("%v of %v rows", grown("reasond_prefill_tokens_total"), grown("reasond_prompt_tokens_total"))
		if grown("reasond_prefill_tokens_total") < grown("reasond_prompt_tokens_total")/2 {
			cut++
		}
	}
	if cut == 0 { // on a busy machine one or the other may be too fast for the test
		t.Error("all prompts were computed after their clients had gone")
	}
	p.answers()
}

// content is all text of a stream, reasoning first.
func content(events []string) string {
	var out strings.Builder
	for _, field := range []string{`"reasoning_content":"`, `"content":"`} {
		for _, e := range events {
			if _, rest, ok := strings.Cut(e, field); ok {
				piece, _, _ := strings.Cut(rest, `","`)
				piece, _, _ = strings.Cut(piece, `"}`)
				out.WriteString(piece)
			}
		}
	}
	return out.String()
}

func TestSixteenStreamsShareTheirSteps(t *testing.T) {
	p := start(t)
	before := p.idle()
	const streams, tokens = 16, 400
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			if _, err := p.stream(words(i, tokens), func() {}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	after := p.idle()
	grown := func(name string) float64 { return after[name] - before[name] }
	if got := grown("reasond_generation_tokens_total"); got != streams*tokens {
		t.Errorf("%v tokens, want %d", got, streams*tokens)
	}
	if rows := grown("reasond_generation_tokens_total") / grown("reasond_engine_steps_total"); rows < 8 { // not all come at once, and not all end
		t.Errorf("%.1f rows a step, want 8 or more", rows)
	} else {
		t.Logf("%.1f rows a step", rows)
	}
}

func TestFourChoicesComputeTheirPromptOnce(t *testing.T) {
	p := start(t)
	before := p.idle()
	body := strings.Replace(words(9, 20), `"stream":true`, `"stream":true,"n":4`, 1)
	events, err := p.stream(body, func() {})
	if err != nil {
		t.Fatal(err)
	}
	after := p.idle()
	prompt := after["reasond_prompt_tokens_total"] - before["reasond_prompt_tokens_total"]
	computed := after["reasond_prefill_tokens_total"] - before["reasond_prefill_tokens_total"]
	t.Logf("%v prompt rows computed for a prompt of %v", computed, prompt)
	if prompt < 40 || computed > prompt+4 {
		t.Errorf("%v prompt rows computed for a prompt of %v", computed, prompt)
	}
	if got := strings.Count(text(slices.Clone(events)), `"finish_reason":"length"`); got != 4 {
		t.Errorf("%d choices finished", got)
	}
}
