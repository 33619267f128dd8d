package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
)

// raw sends bytes as they stand and returns everything that comes back.
func (f *fixture) raw(t *testing.T, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(conn, text)
	got, err := io.ReadAll(conn)
	if err != nil && os.IsTimeout(err) {
		t.Errorf("%.80q: the connection was held", text)
	}
	return string(got)
}

// Requests whose framing is in doubt: refused or cut, and never two answers
// for one request.
func TestDoubtfulFramingIsRefused(t *testing.T) {
	f := begin(t, Config{HeaderTimeout: 300 * time.Millisecond, BodyTimeout: 300 * time.Millisecond, IdleTimeout: 300 * time.Millisecond}, scripted.Config{})
	const line = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	const smuggled = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
	body := ask()
	n := len(body)
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, body)
	length := fmt.Sprintf("Content-Length: %d\r\n", n)
	cases := []string{
		line + length + "Content-Length: 5\r\n\r\n" + body, line + length + fmt.Sprintf("Content-Length: %d\r\n\r\n", n+1) + body,
		line + fmt.Sprintf("Content-Length: %d, 5\r\n\r\n", n) + body, line + "Content-Length: -1\r\n\r\n" + body, line + "Content-Length: +5\r\n\r\n" + body,
		line + "Content-Length: 0x10\r\n\r\n" + body, line + "Content-Length: 1e2\r\n\r\n" + body, line + "Content-Length: 99999999999999999999\r\n\r\n" + body,
		line + "Content-Length: \r\n\r\n" + body, line + "Content-Length: 5 5\r\n\r\n" + body, line + "Content-Length:\t\x0b5\r\n\r\n" + body, line + "Content-Length: ５\r\n\r\n" + body,
		line + "Content-Length : " + strconv.Itoa(n) + "\r\n\r\n" + body, line + "Content-Length\r\n\r\n" + body,
		line + "Transfer-Encoding: xchunked\r\n\r\n" + chunked, line + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunked, line + "Transfer-Encoding: identity, chunked\r\n\r\n" + chunked,
		line + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, line + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked,
		line + "Transfer-Encoding:\x0bchunked\r\n\r\n" + chunked, line + "Transfer-Encoding: \"chunked\"\r\n\r\n" + chunked, line + "Transfer-Encoding : chunked\r\n\r\n" + chunked, line + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked,
		line + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n" + body, line + "Transfer-Encoding: chunked\r\n\r\n-5\r\n" + body, line + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + body,
		line + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("a", 100_000) + "\r\n", line + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n",
		line + "Transfer-Encoding: chunked\r\n\r\n5 5\r\nabcde\r\n", line + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 10_000) + "5\r\n",
		"GET /v1/models HTTP/1.1\r\n\r\n", "GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", "GET /v1/models HTTP/1.1\r\nHost: localhost, evil\r\n\r\n",
		"GET /v1/models HTTP/9.9\r\nHost: localhost\r\n\r\n", "GET /v1/models HTTP/1.1x\r\nHost: localhost\r\n\r\n", "GET /v1/models\r\nHost: localhost\r\n\r\n", "GET  /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /v1/mod\x00els HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /v1/models HTTP/1.1\r\nHost: local\x00host\r\n\r\n", "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
		"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n X: folded\r\n\r\n", "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX y: 1\r\n\r\n", "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n: empty\r\n\r\n",
		"G\x00T /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\r\n\r\n\r\n\r\nGET", strings.Repeat("A", 70_000),
		"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET evil HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nExpect: nonsense\r\n\r\n", "GET /v1/models HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	}
	for _, text := range cases {
		for _, tail := range []string{"", smuggled} {
			got := f.raw(t, text+tail)
			answers := strings.Count(got, "HTTP/1.1 ") + strings.Count(got, "HTTP/1.0 ")
			if answers > 1 || answers == 1 && got[9] == '2' {
				t.Errorf("%.160q:\n%.200q", text, got)
			}
		}
	}
	// Framed well, and refused for what they say.
	for _, text := range []string{
		"POST http://evil/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + length + "\r\n" + body, line + " Content-Length: 5\r\nConnection: close\r\n\r\n",
		"get /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\nConnection: close\r\n\r\n",
	} {
		if got := f.raw(t, text); !strings.HasPrefix(got, "HTTP/1.1 4") {
			t.Errorf("%.80q: %.80q", text, got)
		}
	}
	// A length beside chunks: net/http reads the chunks, as RFC 9112 6.3 has it,
	// and must not take what follows for another request.
	for _, head := range []string{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n" + length} {
		got := f.raw(t, line+head+"\r\n"+chunked+smuggled)
		if answers := strings.Count(got, "HTTP/1.1 "); answers > 1 {
			t.Errorf("%q: %d answers: %.300q", head, answers, got)
		}
	}
	if r := f.chat(t, body); r.status != 200 {
		t.Errorf("a good request afterwards: %d", r.status)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	before := heap()
	field := "X-F: " + strings.Repeat("v", 100) + "\r\n"
	for _, header := range []string{
		strings.Repeat("a: b\r\n", 100_000), strings.Repeat(field, 20_000), "X: " + strings.Repeat("v", 2<<20) + "\r\n", strings.Repeat("X"+field, 600_000),
		"Cookie: " + strings.Repeat("a=b;", 300_000) + "\r\n",
	} {
		got := f.raw(t, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n")
		if got != "" && !strings.HasPrefix(got, "HTTP/1.1 431") && !strings.HasPrefix(got, "HTTP/1.1 400") {
			t.Errorf("%.20q x %d: %.80q", header, len(header), got)
		}
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("%d MB of headers stayed", grown>>20)
	}
}

// heap is the memory in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// endless is a body that does not end; it counts what was taken of it.
type endless struct {
	left  int64
	taken atomic.Int64 // the transport may read on after Do has returned
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	e.left -= n
	e.taken.Add(n)
	return int(n), nil
}

func TestBodiesAreBounded(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	// Declared: refused before a byte of it is read.
	for _, declared := range []int64{8<<20 + 1, 100 << 20, 1 << 40, 1<<63 - 1} {
		conn, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // who reads the body waits for 20 s
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", declared)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusRequestEntityTooLarge || *parseEnvelope(t, string(body)).Code != "body_too_large" {
			t.Errorf("%d declared: %d %s", declared, resp.StatusCode, body)
		}
		conn.Close()
	}
	// Chunked: read up to the limit and no further.
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	body := &endless{left: 200 << 20}
	req, _ := http.NewRequest("POST", f.url("/v1/chat/completions"), struct{ io.Reader }{body})
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err == nil {
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("200 MB in chunks: %d", resp.StatusCode)
		}
		resp.Body.Close()
	}
	runtime.ReadMemStats(&after)
	if taken := body.taken.Load(); taken > 40<<20 {
		t.Errorf("%d MB were taken", taken>>20)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	// Exactly the limit passes.
	fill := strings.Repeat(" ", 8<<20-len(ask()))
	if r := f.chat(t, ask()+fill); r.status != 200 {
		t.Errorf("8 MiB: %d", r.status)
	}
	if r := f.chat(t, ask()+fill+" "); r.status != 413 {
		t.Errorf("8 MiB and 1: %d", r.status)
	}
	if r := f.chat(t, ask(), "Content-Encoding", "gzip"); r.status != http.StatusUnsupportedMediaType {
		t.Errorf("gzip: %d", r.status)
	}
	if r := f.chat(t, ask(), "Content-Encoding", "identity"); r.status != http.StatusOK {
		t.Errorf("identity: %d", r.status)
	}
}

// What all bodies hold together is bounded too, and given back with the
// request's start, not its end.
func TestBodiesTogetherAreBounded(t *testing.T) {
	hold := make(chan struct{})
	f := begin(t, Config{MaxBodies: 4096}, scripted.Config{Script: at(0, hold)})
	padded := ask() + strings.Repeat(" ", 3000)
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(padded), padded[:3000])
	eventually(t, "most of it has come", func() bool { return f.bodies.Load() == 3000 })
	if r := f.chat(t, padded); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("another: %d %s", r.status, r.body)
	}
	fmt.Fprint(conn, padded[3000:])
	eventually(t, "it runs and holds nothing", func() bool { return f.engine.Stats().Running == 1 && f.bodies.Load() == 0 })
	close(hold)
	if r := f.chat(t, padded); r.status != 200 {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("the first: %v %v", resp, err)
	}
}
