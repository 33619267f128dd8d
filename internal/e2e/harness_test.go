// Package e2e_test starts the built program as a user does and talks to it over
// HTTP, with OpenAI's Python client where there is one to be had: make test-tools
// installs it.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built from the tree as it is.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "reasond-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "reasond")
		build := exec.Command("go", "build", "-o", binary, "../../cmd/reasond")
		build.Stdout, build.Stderr = os.Stdout, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: the program does not build:", err)
			return 1
		}
		return m.Run()
	}())
}

// process is a running reasond.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	base   string // http://127.0.0.1:PORT
	curl   string // the command that it printed
	stderr *tail
	exited chan struct{} // closed when it has ended; then err is set
	err    error
}

var served = regexp.MustCompile(`is served on (?:the socket )?(\S+)`)

// start runs `reasond serve --port 0` with further arguments and waits until it
// has printed its address. The process ends with the test.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startEnv(t, nil, append([]string{"--port", "0"}, args...)...)
}

func startEnv(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, stderr: &tail{}, exited: make(chan struct{})}
	p.cmd = exec.Command(binary, append([]string{"serve"}, args...)...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	go func() {
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		close(lines)
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	limit := time.After(2 * time.Minute)
	for p.curl == "" {
		select {
		case line, ok := <-lines:
			if !ok {
				<-p.exited
				t.Fatalf("reasond serve %v ended: %v\n%s", args, p.err, p.stderr)
			}
			if m := served.FindStringSubmatch(line); m != nil {
				p.base = m[1]
			}
			if rest, ok := bytes.CutPrefix([]byte(line), []byte("  curl ")); ok {
				p.curl = "curl " + string(rest)
			}
		case <-limit:
			t.Fatalf("reasond serve %v printed no address in two minutes\n%s", args, p.stderr)
		}
	}
	return p
}

// signal sends the process a signal.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns how the process ended, or fails the test after a while.
func (p *process) wait(limit time.Duration) error {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.err
	case <-time.After(limit):
		p.t.Fatalf("reasond still runs after %v\n%s", limit, p.stderr)
		return nil
	}
}

// python runs a script of this folder in the environment of make test-tools.
func python(t *testing.T, stdin []byte, script string, args ...string) []byte {
	t.Helper()
	interpreter, err := filepath.Abs("../../.e2e/venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(interpreter); err != nil {
		t.Skip("the Python packages are not installed: run `make test-tools` first")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter, append([]string{script}, args...)...)
	var out, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", script, err, out.Bytes(), stderr.Bytes())
	}
	return out.Bytes()
}

// reasond runs a command of the program to its end.
func reasond(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader([]byte(stdin)), &out, &errs
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// post asks for a chat completion and returns the answer, whose body the caller
// closes.
func (p *process) post(ctx context.Context, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/v1/chat/completions", bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return http.DefaultClient.Do(req)
}

// tail keeps what a process wrote last, for failures.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - 16<<10; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
