package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// BenchmarkStreams is the host's work for a streamed token: 64 clients in another
// process read streams whose tokens a script gives, one a stream and step, through
// the whole of pipeline, server, net/http and the kernel's sockets. It reports
// what this process used, by getrusage: user-µs/token is all that is not the
// model; sys-µs/token is what the kernel adds for sockets and wake-ups.
//
// The text is half thought, half answer, with a tool's parser behind it where the
// case says so.
func BenchmarkStreams(b *testing.B) {
	const each = 1000 // tokens of a stream
	for _, c := range []struct{ name, more string }{
		{"chat", ""},
		{"stop", `"stop":["never said"]`},

		{"tools", `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkStreams(b, 64, each, c.more) })
	}
}

// stepTime is no multiple of the kernel's tick: where that samples what a process
// does (CONFIG_TICK_CPU_ACCOUNTING), steps of 4 ms, a tick of 250 Hz, would be met
// at the same place again and again, and getrusage's user and system time with them.
const stepTime = 4300 * time.Microsecond

func benchmarkStreams(b *testing.B, streams, each int, more string) {
	text := "<think>\n" + strings.Repeat(" one two three four five", each/10) + "\n</think>\n\n" + strings.Repeat(" one two three four five", each/10)
	steps := tokens(b, text)
	steps = steps[:min(each, len(steps))]
	engine := scripted.New(scripted.Config{
		Script: func(*llm.Request, int) []scripted.Step { return steps },
		End:    llm.Finish{Reason: llm.FinishStop, StopID: 1273}, StepTime: stepTime, Together: true,
	})
	defer engine.Close()
	s, err := New(Config{Models: append(Config{}.Models, tinyModel(b, engine))})
	if err != nil {
		b.Fatal(err)
	}
	socket := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
		<-served
	}()

	var got, sent int
	var user, sys time.Duration
	var before, after runtime.MemStats
	var allocs uint64
	for b.Loop() {
		runtime.ReadMemStats(&before)
		u, k := used(b)
		got += clients(b, socket, streams, ask(`"stream":true`, cmpOr(more, `"n":1`)))
		u2, k2 := used(b)
		runtime.ReadMemStats(&after)
		user, sys, sent, allocs = user+u2-u, sys+k2-k, sent+streams*len(steps), allocs+after.Mallocs-before.Mallocs
	}
	if got < sent*9/10 {
		b.Fatalf("%d events for %d tokens: they did not come one by one", got, sent)
	}
	b.ReportMetric(float64(user.Nanoseconds())/1e3/float64(sent), "user-µs/token")
	b.ReportMetric(float64(sys.Nanoseconds())/1e3/float64(sent), "sys-µs/token")
	b.ReportMetric(float64(allocs)/float64(sent), "allocs/token")
	b.ReportMetric(float64(got)/float64(sent), "events/token")
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// used is the processor time of this process so far.
func used(b *testing.B) (user, sys time.Duration) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())
}

const clientsAt = "REASOND_BENCH_STREAMS"

// clients runs the clients in a process of their own and returns how many events
// they read.
func clients(b *testing.B, socket string, streams int, body string) (events int) {
	b.Helper()
	c := exec.Command(os.Args[0], "-test.run", "^TestBenchmarkClients$", "-test.v")
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", clientsAt, socket, streams, body))
	out, err := c.CombinedOutput()
	_, after, ok := strings.Cut(string(out), "events: ")
	if err != nil || !ok {
		b.Fatalf("clients: %v\n%s", err, out)
	}
	fmt.Sscan(after, &events)
	return events
}

// TestBenchmarkClients is the other process of BenchmarkStreams.
func TestBenchmarkClients(t *testing.T) {
	order := strings.SplitN(os.Getenv(clientsAt), " ", 3)
	if len(order) < 3 {
		t.Skip("there is no benchmark that these are the clients of")
	}
	streams, _ := strconv.Atoi(order[1])
	var wait sync.WaitGroup
	var mu sync.Mutex
	events := 0
	for range streams {
		wait.Go(func() {
			n, err := readEvents(order[0], order[2])
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			events += n
		})
	}
	wait.Wait()
	fmt.Printf("events: %d\n", events)
}

// readEvents reads a stream to its end.
func readEvents(socket, body string) (events int, err error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	r, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<14), nil)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	buf := make([]byte, 1<<14)
	for done := false; ; {
		n, err := r.Body.Read(buf)
		events += bytes.Count(buf[:n], []byte("data: {"))
		done = done || bytes.Contains(buf[:n], []byte("[DONE]"))
		switch {
		case err == io.EOF && done:
			return events, nil
		case err != nil:
			return events, fmt.Errorf("the stream ended with %w, done %v, status %d", err, done, r.StatusCode)
		}
	}
}
