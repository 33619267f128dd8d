package server

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
)

// Beyond MaxConnections a connection waits until one before it has ended, however
// that ended: closed by the client, after an answer or without a request.
func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	f := begin(t, Config{MaxConnections: 2}, scripted.Config{})
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	answered := func(conn net.Conn, within time.Duration) error {
		fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(within))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	const ample = 10 * time.Second
	silent, asking := dial(), dial()
	if err := answered(asking, ample); err != nil {
		t.Fatal(err)
	}
	for _, before := range []net.Conn{asking, silent} {
		next := dial()
		if err := answered(next, 50*time.Millisecond); err == nil {
			t.Fatal("a connection beyond the limit was served")
		}
		before.Close()
		_ = next.SetReadDeadline(time.Now().Add(ample))
		resp, err := http.ReadResponse(bufio.NewReader(next), nil) // of the request that waited
		if err != nil {
			t.Fatalf("a connection had ended: %v", err)
		}
		resp.Body.Close()
	}
}
