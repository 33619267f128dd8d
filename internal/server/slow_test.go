package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// A client that does not read is cut by the write deadline; others do not
// notice.
func TestSlowReadersAreCut(t *testing.T) {
	const slow = 4
	long := scripted.Step{Text: strings.Repeat("word ", 20_000)}
	script := func(req *llm.Request, _ int) []scripted.Step {
		if req.Sampling.Seed != 0 {
			return spell(raw, 1)(nil, 0)
		}
		steps := make([]scripted.Step, 200) // 20 MB, more than sockets hold
		for i := range steps {
			steps[i] = long
		}
		return steps
	}
	f := begin(t, Config{WriteTimeout: 300 * time.Millisecond}, scripted.Config{Script: script})
	small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	body := ask(`"stream":true`, `"seed":0`)
	start := time.Now()
	for range slow {
		conn, err := small.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	eventually(t, "the slow ones are in", func() bool { return f.gate.running() == slow })
	got := f.streamChat(t, ask(`"stream":true`, `"seed":1`))
	if err := got.whole(1); err != nil {
		t.Errorf("a good reader: %v", err)
	}
	eventually(t, "the slow ones are out", f.idle)
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("cut after %v", took)
	}
}

// silent opens a connection, sends a text and reports how long the server kept
// it and what it said.
func (f *fixture) silent(t *testing.T, text string) (string, time.Duration) {
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Error(err)
		return "", 0
	}
	defer conn.Close()
	start := time.Now()
	fmt.Fprint(conn, text)
	_ = conn.SetReadDeadline(start.Add(9 * time.Second)) // before the limits that a server has by itself
	got, err := io.ReadAll(conn)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%.40q was held: %v", text, err)
	}
	return string(got), time.Since(start)
}

func TestSlowRequestsAreCutAndGoodOnesServed(t *testing.T) {
	f := begin(t, Config{HeaderTimeout: 200 * time.Millisecond, BodyTimeout: 300 * time.Millisecond, IdleTimeout: 250 * time.Millisecond}, scripted.Config{})
	post := "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
	var wg sync.WaitGroup
	for _, c := range []struct{ name, text, status string }{
		{"half a header", "GET /v1/models HTTP/1.1\r\nHost: loc", ""},
		{"nothing", "", ""},
		{"half a body", post + `{"messages":[`, "408"},
		{"no body", post, "408"},
		{"half a chunk", strings.Replace(post, "Content-Length: 100", "Transfer-Encoding: chunked", 1) + "50\r\n{", "408"},
		{"idle", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"},
	} {
		for range 10 {
			wg.Go(func() {
				got, took := f.silent(t, c.text)
				if !strings.HasPrefix(strings.TrimPrefix(got, "HTTP/1.1 "), c.status) {
					t.Errorf("%s: %.40q after %v", c.name, got, took)
				}
			})
		}
	}
	for range 20 {
		if r := f.chat(t, ask()); r.status != 200 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	wg.Wait()
}

// While nothing is sent a stream says that it lives, before its first chunk
// too, and the body's deadline does not end a long answer.
func TestSilentStreamsAreKeptAlive(t *testing.T) {
	hold := make(chan struct{})
	f := begin(t, Config{KeepAlive: 40 * time.Millisecond, BodyTimeout: 50 * time.Millisecond, IdleTimeout: 50 * time.Millisecond, HeaderTimeout: 50 * time.Millisecond},
		scripted.Config{Script: at(0, hold)})
	whole := make(chan response, 1)
	go func() { whole <- f.chat(t, ask()) }()
	resp, err := f.post(context.Background(), ask(`"stream":true`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	last, comments := time.Now(), 0
	for comments < 5 {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, ":") {
			comments++
		}
		if gap := time.Since(last); gap > 5*time.Second {
			t.Errorf("silent for %v", gap)
		}
		last = time.Now()
	}
	close(hold)
	got, err := readStream(t, r)
	if err != nil || !got.done || got.finishes[0] != 1 {
		t.Errorf("%v %+v", err, got)
	}
	if r := <-whole; r.status != http.StatusOK {
		t.Errorf("the whole answer after a long wait: %d %s", r.status, r.body)
	}
}
