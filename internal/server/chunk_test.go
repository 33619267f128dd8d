package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

func TestAChunkIsAsNetHTTPWritesIt(t *testing.T) {
	var buf []byte
	for _, n := range []int{1, 9, 15, 16, 17, 255, 256, 511, 512, 4095, 4096, 70_000, 1 << 20} {
		body := bytes.Repeat([]byte{'x'}, n)
		whole, at := asChunk(append(roomy(buf), body...))
		if want := fmt.Sprintf("%x\r\n%s\r\n", n, body); string(whole[at:]) != want {
			t.Errorf("of %d bytes: %.20q, want %.20q", n, whole[at:], want)
		}
		buf = whole
	}
}

// wireOf is what comes back on a connection of a server until it ends.
func wireOf(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, text)
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// The bytes of streams are the same whether the server writes chunks itself or
// net/http does: two on one connection, an answer that is no stream behind them; and
// for a client of HTTP/1.0, who knows no chunks.
func TestStreamsAreTheSameBytesThroughNetHTTP(t *testing.T) {
	long := strings.Repeat("long ", 3000)
	steps := []scripted.Step{{Text: "<think>\nA"}, {Text: " thought\n"}, {Text: "</think>\n\n"}, {Text: "é \"quoted\" \x01"}, {Text: long}, {Text: " end."}}
	f := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step { return steps }, StepTime: time.Millisecond})
	plain := httptest.NewServer(f.Handler())
	defer plain.Close()
	request := func(version, more string, body string) string {
		return fmt.Sprintf("POST /v1/chat/completions HTTP/%s\r\nHost: localhost\r\nX-Request-Id: same\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s", version, len(body), more, body)
	}
	stream := ask(`"stream":true`, `"request_id":"same"`)
	for name, text := range map[string]string{
		"two": request("1.1", "", stream) + request("1.1", "", stream) + request("1.1", "Connection: close\r\n", ask(`"request_id":"same"`)),
		"1.0": request("1.0", "", stream),
	} {
		own, theirs := answersOf(t, wireOf(t, f.addr, text)), answersOf(t, wireOf(t, plain.Listener.Addr().String(), text))
		if own != theirs {
			t.Errorf("%s:\n%q\n\nnet/http:\n%q", name, own, theirs)
		}
		if strings.Count(own, "[DONE]") != strings.Count(text, `"stream":true`) || !strings.Contains(own, long) {
			t.Errorf("%s: %.2000q", name, own)
		}
	}
}

var created = regexp.MustCompile(`"created":\d+,`)

// answersOf is what came over a connection, all answers: their headers without the
// date, and the chunks' contents joined, as a client's own reader finds them. It
// fails where the framing is broken.
func answersOf(t *testing.T, wire string) string {
	t.Helper()
	var b strings.Builder
	for r := bufio.NewReader(strings.NewReader(wire)); ; {
		if _, err := r.Peek(1); err != nil {
			return b.String()
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%v in %.500q", err, wire)
		}
		resp.Header.Del("Date")
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%v in %.500q", err, wire)
		}
		fmt.Fprintln(&b, resp.Proto, resp.Status, resp.TransferEncoding, resp.Close, resp.Header)
		b.WriteString(created.ReplaceAllString(string(body), ""))
	}
}
