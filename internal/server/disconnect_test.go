package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// at scripts a request that stops for good at step k.
func at(k int, hold <-chan struct{}) func(*llm.Request, int) []scripted.Step {
	return func(*llm.Request, int) []scripted.Step {
		steps := append([]scripted.Step{}, spell(raw, 1)(nil, 0)...)
		steps[k].Wait = hold
		return steps
	}
}

// A client that goes away frees its slot, wherever its request is.
func TestDisconnectFreesTheSlot(t *testing.T) {
	for _, c := range []struct {
		name   string
		step   int
		slots  int
		stream bool
	}{
		{"queue", 0, 1, true}, {"queue, whole", 0, 1, false},
		{"prefill", 0, 64, true}, {"prefill, whole", 0, 64, false},
		{"decode", 20, 64, true}, {"decode, whole", 20, 64, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			hold := make(chan struct{})
			f := begin(t, Config{}, scripted.Config{Script: at(c.step, hold), Slots: c.slots, Queue: 64})
			for range 4 {
				ctx, cancel := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				came := time.Now()
				for range 50 {
					wg.Go(func() {
						resp, err := f.post(ctx, ask(fmt.Sprintf(`"stream":%v`, c.stream)))
						if err == nil {
							_, _ = io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
					})
				}
				eventually(t, "all 50 are in", func() bool {
					s := f.engine.Stats()
					return s.Running+s.Waiting == 50 && s.Running == min(50, c.slots)
				})
				gone := time.Now()
				cancel()
				wg.Wait()
				eventually(t, "all slots are free", f.idle)
				// As fast as they came, where the machine is slow.
				if took := time.Since(gone); took > time.Second+10*gone.Sub(came) {
					t.Errorf("slots were free after %v", took)
				}
			}
			close(hold)
			if r := f.chat(t, ask()); r.status != 200 {
				t.Errorf("the next request: %d %s", r.status, r.body)
			}
		})
	}
}

// A client that closes only its sending side is served or cut, never held, and
// never given an answer that is not whole.
func TestHalfClosedClientIsNotHeld(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	f := begin(t, Config{}, scripted.Config{Script: at(3, hold)})
	for i := range 20 {
		conn, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		body := ask(fmt.Sprintf(`"stream":%v`, i%2 == 0))
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		got, err := io.ReadAll(conn)
		if err != nil {
			t.Errorf("client %d was held: %v", i, err)
		}
		if strings.Contains(string(got), "[DONE]") || strings.Contains(string(got), "finish_reason\":\"") || strings.HasSuffix(string(got), "\r\n0\r\n\r\n") || strings.Contains(string(got), "Content-Length: 0") {
			t.Errorf("client %d took this for an answer: %q", i, got)
		}
		conn.Close()
	}
	eventually(t, "all slots are free", f.idle)
}

// Streams at once, some of which break off: every other one is whole and exact.
func TestCrowdWithRandomDisconnects(t *testing.T) {
	letters := []rune("abc <>&\n\"é日😀\\\u2028")
	text := func(seed uint64) (string, string) {
		r := rand.New(rand.NewPCG(seed, 1))
		word := func(n int) string {
			var b strings.Builder
			for range n {
				b.WriteRune(letters[r.IntN(len(letters))])
			}
			return "x" + b.String() + "y"
		}
		return word(10 + r.IntN(100)), word(10 + r.IntN(200))
	}
	script := func(req *llm.Request, _ int) []scripted.Step {
		thought, answer := text(req.Sampling.Seed)
		return spell("<think>"+thought+"</think>"+answer, 1+int(req.Sampling.Seed%7))(nil, 0)
	}
	f := begin(t, Config{}, scripted.Config{Script: script, StepTime: time.Millisecond, Slots: 150, Queue: 100})
	var wg sync.WaitGroup
	for i := range uint64(200) {
		wg.Go(func() {
			body := ask(`"stream":true`, fmt.Sprintf(`"seed":%d`, i), `"stream_options":{"include_usage":true}`)
			if i%4 == 3 {
				f.breakOff(body, time.Duration(i)*time.Millisecond/2)
				return
			}
			got, err := f.tryStream(t, context.Background(), body)
			if err == nil {
				err = got.whole(1)
			}
			thought, answer := text(i)
			if err != nil || got.reasoning[0] != thought || got.content[0] != answer || got.usage == nil {
				t.Errorf("stream %d: %v\n got %q %q\nwant %q %q", i, err, got.reasoning[0], got.content[0], thought, answer)
			}
		})
	}
	wg.Wait()
	eventually(t, "nothing is left", f.idle)
	if s := f.engine.Stats(); s.PagesFree != s.PagesTotal {
		t.Errorf("%d of %d pages free", s.PagesFree, s.PagesTotal)
	}
}

// breakOff starts a request and leaves after a while without a word.
func (f *fixture) breakOff(body string, after time.Duration) {
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_ = conn.SetReadDeadline(time.Now().Add(after))
	_, _ = io.Copy(io.Discard, conn)
}

func TestQueueBoundAnswersAtOnceWithRetryAfter(t *testing.T) {
	hold := make(chan struct{})
	f := begin(t, Config{}, scripted.Config{Script: at(0, hold), Slots: 8, Queue: 8})
	results := make(chan response, 32)
	for range 32 {
		go func() { results <- f.chat(t, ask()) }()
	}
	for range 16 {
		r := <-results
		e := envelope(t, r)
		if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" || e.Type != "rate_limit_error" {
			t.Errorf("the excess got %d, Retry-After %q: %s", r.status, r.header.Get("Retry-After"), r.body)
		}
	}
	close(hold)
	for range 16 {
		if r := <-results; r.status != 200 {
			t.Errorf("an accepted request got %d %s", r.status, r.body)
		}
	}
}

func TestServerBoundsRequestsAtOnce(t *testing.T) {
	hold := make(chan struct{})
	f := begin(t, Config{MaxRequests: 2}, scripted.Config{Script: at(0, hold)})
	results := make(chan response, 4)
	for range 4 {
		go func() { results <- f.chat(t, ask()) }()
	}
	for range 2 {
		if r := <-results; r.status != http.StatusTooManyRequests {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	close(hold)
	for range 2 {
		if r := <-results; r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// Cancelling one of many touches no other.
func TestCancelOneOfFifty(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{Script: spell(raw, 1), StepTime: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if i == 25 {
				resp, err := f.post(ctx, ask(`"stream":true`))
				if err == nil {
					_, _ = bufio.NewReader(resp.Body).ReadString('\n')
					resp.Body.Close()
				}
				cancel()
				return
			}
			got, err := f.tryStream(t, context.Background(), ask(`"stream":true`))
			if err != nil || got.whole(1) != nil || !strings.HasSuffix(got.content[0], answer) {
				t.Errorf("stream %d: %v %v %q", i, err, got.whole(1), got.content[0])
			}
		})
	}
	wg.Wait()
	cancel()
}
