//go:build linux

package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/cgroup/cgrouptest"
	"github.com/reasond/reasond/testdata/smollm2"
)

// started is a program from its exec on, asked over a socket.
type started struct {
	tb     testing.TB
	cmd    *exec.Cmd
	began  time.Time
	client *http.Client
}

func startedWith(tb testing.TB, args ...string) *started {
	tb.Helper()
	return startedBy(tb, exec.Command, args...)
}

// startedBy starts the program as command makes it.
func startedBy(tb testing.TB, command func(name string, args ...string) *exec.Cmd, args ...string) *started {
	tb.Helper()
	socket := filepath.Join(tb.TempDir(), "s")
	s := &started{tb: tb, cmd: command(binary, append([]string{"serve", "--uds", socket}, args...)...), began: time.Now()}
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.end)
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	return s
}

func (s *started) end() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// until asks for a path until it answers 200, and says how long after exec.
func (s *started) until(path string) time.Duration {
	s.tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Since(s.began) < time.Minute {
		if r, err := s.client.Get("http://localhost" + path); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return time.Since(s.began)
			}
		}
		<-tick.C
	}
	s.tb.Fatalf("%s is not 200", path)
	return 0
}

// stream asks a question and says when the first token came, after exec.
func (s *started) stream(question string, tokens int) (first time.Duration) {
	body := fmt.Sprintf(`{"stream":true,"ignore_eos":true,"seed":1,"max_tokens":%d,"messages":[{"role":"user","content":%q}]}`, tokens, question)
	r, err := s.client.Post("http://localhost/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		s.tb.Error(err)
		return 0
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if first == 0 && (strings.Contains(lines.Text(), `content":"`)) {
			first = time.Since(s.began)
		}
	}
	return first
}

// peak is the most memory that the process has held, bytes.
func (s *started) peak() (bytes int64) {
	s.tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	_, after, ok := strings.Cut(string(data), "VmHWM:")
	if _, scanned := fmt.Sscan(after, &bytes); err != nil || !ok || scanned != nil {
		s.tb.Fatalf("no VmHWM: %v", err)
	}
	return bytes << 10
}

// crowd asks n questions at once.
func (s *started) crowd(n, tokens int) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { s.stream(fmt.Sprintf("Tell me a story about the number %d.", i), tokens) })
	}
	all.Wait()
}

// A real model is served from little more than its file: the weights are packed
// once, the file's pages are dropped, pages of keys and values are touched when
// they are used. The bound has room for other machines; BenchmarkStart measures.
func TestMemoryIsNotMuchMoreThanTheFile(t *testing.T) {
	path := smollm2.Need(t)
	s := startedWith(t, path)
	s.until("/readyz")
	s.crowd(16, 32)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if ratio := float64(s.peak()) / float64(info.Size()); ratio > 2.1 {
		t.Errorf("16 sequences take %.2f times the file's size", ratio)
	}
}

// In a group whose memory is less than the keys and values of all requests, a
// server takes what there is and lives: requests wait for pages.
func TestAServerKeepsWithinItsGroupsMemory(t *testing.T) {
	path := smollm2.Need(t)
	group := cgrouptest.New(t, cgrouptest.Limits{Memory: 240 << 20})
	s := startedBy(t, group.Command, path)
	s.until("/readyz")
	s.crowd(64, 64) // 147 MiB of keys and values beside weights of 92
	r, err := s.client.Get("http://localhost/readyz")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Error(r.Status)
	}
}

// BenchmarkStart is the time from exec to an open port, to a ready model and to
// the first streamed token, and the memory that 16 sequences of 158 tokens take,
// prompts of 40 included, as a multiple of the file's size.
func BenchmarkStart(b *testing.B) {
	for _, c := range []struct {
		name string
		args func(testing.TB) []string
	}{{"built-in", func(testing.TB) []string { return nil }}, {"SmolLM2-Q4_1", func(tb testing.TB) []string { return []string{smollm2.Need(tb)} }}} {
		b.Run(c.name, func(b *testing.B) {
			args := c.args(b)
			var alive, ready, token time.Duration
			var memory int64
			for b.Loop() {
				s := startedWith(b, args...)
				alive += s.until("/healthz")
				ready += s.until("/readyz")
				token += s.stream("What is 2+2?", 4)
				s.crowd(16, 118)
				memory += s.peak()
				s.end()
			}
			for name, d := range map[string]time.Duration{"alive-ms": alive, "ready-ms": ready, "token-ms": token} {
				b.ReportMetric(float64(d.Microseconds())/1e3/float64(b.N), name)
			}
			b.ReportMetric(float64(memory>>20)/float64(b.N), "peak-MiB")
			if len(args) > 0 {
				info, err := os.Stat(args[0])
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(memory)/float64(b.N)/float64(info.Size()), "peak/file")
			}
		})
	}
}
