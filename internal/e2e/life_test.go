package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// long is a request that runs until its tokens are used up.
const long = `{"model":"default","stream":true,"ignore_eos":true,"max_tokens":1500,"temperature":0,
	"messages":[{"role":"user","content":"9.11 and 9.8, which is greater?"}]}`

const short = `{"model":"default","temperature":0,"messages":[{"role":"user","content":"9.11 and 9.8, which is greater?"}]}`

// answers fails the test unless the short question gets its known answer.
func (p *process) answers() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	res, err := p.post(ctx, short)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.stderr)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), "9.8 is greater than 9.11.") {
		p.t.Fatalf("%s %s %v", res.Status, body, err)
	}
}

// stream reads one streamed answer to its end: the events' data. begun is called
// at the first event.
func (p *process) stream(body string, begun func()) ([]string, error) {
	res, err := p.post(context.Background(), body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var events []string
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if events = append(events, data); len(events) == 1 {
				begun()
			}
		}
	}
	return events, lines.Err()
}

// streams starts n long streams and returns once each has begun. Its result
// waits for their ends.
func (p *process) streams(n int) func() [][]string {
	var begun, ended sync.WaitGroup
	all := make([][]string, n)
	for i := range n {
		begun.Add(1)
		ended.Go(func() {
			once := sync.OnceFunc(begun.Done)
			defer once()
			events, err := p.stream(long, once)
			if err != nil {
				p.t.Errorf("stream %d: %v", i, err)
			}
			all[i] = events
		})
	}
	begun.Wait()
	return func() [][]string { ended.Wait(); return all }
}

func TestThePrintedCommandCanBePasted(t *testing.T) {
	p := start(t)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", p.curl).Output()
	if err != nil {
		t.Fatalf("%s: %v", p.curl, err)
	}
	var answer struct {
		Choices []struct {
			Message struct {
				Content   string  `json:"content"`
				Reasoning *string `json:"reasoning_content"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Choices) != 1 || answer.Choices[0].Message.Reasoning == nil || answer.Choices[0].Message.Content == "" {
		t.Errorf("%s\n%s", p.curl, out)
	}
}

func TestAKilledServerStartsAgainOnItsPort(t *testing.T) {
	p := start(t)
	p.answers()
	p.signal(syscall.SIGKILL)
	_ = p.wait(time.Minute)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	startEnv(t, nil, "--port", port).answers()
}

func TestSIGTERMLetsStreamsFinish(t *testing.T) {
	p := start(t)
	ends := p.streams(8)
	p.signal(syscall.SIGTERM)
	for i, events := range ends() {
		if n := len(events); n < 3 || events[n-1] != "[DONE]" || strings.Count(strings.Join(events, "\n"), `"finish_reason":"length"`) != 1 {
			t.Errorf("stream %d ended with %q", i, events[max(0, len(events)-2):])
		}
	}
	if err := p.wait(time.Minute); err != nil {
		t.Errorf("exit: %v\n%s", err, p.stderr)
	}
}

func TestStreamsThatOutlastTheDrainAreEndedWithAnError(t *testing.T) {
	p := start(t, "--drain-timeout", "50ms")
	ends := p.streams(4)
	p.signal(syscall.SIGTERM)
	if err := p.wait(time.Minute); err != nil {
		t.Errorf("exit: %v\n%s", err, p.stderr)
	}
	for i, events := range ends() {
		if n := len(events); n < 2 || !strings.Contains(strings.Join(events[n-2:], "\n"), `"error"`) {
			t.Errorf("stream %d ended with %q", i, events[max(0, len(events)-2):])
		}
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	p := start(t, "--drain-timeout", "1h")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := p.post(ctx, long) // an open stream that nobody reads keeps the drain busy
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	p.signal(syscall.SIGINT)
	for !strings.Contains(p.stderr.String(), "draining") {
		time.Sleep(5 * time.Millisecond) // the log is all that says the first has been taken
	}
	p.signal(syscall.SIGINT)
	if err := p.wait(time.Minute); err == nil {
		t.Error("exit 0 after a second signal")
	}
}

func TestGarbageDisturbsNobody(t *testing.T) {
	p := start(t)
	ends := p.streams(2)
	for _, garbage := range []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // a TLS hello
		"GET / HTTP/9.9\r\n\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{\"a\":",
		strings.Repeat("A", 100_000),
		"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, garbage)
		_ = c.Close()
	}
	for _, body := range []string{
		"", "null", "[]", "{", `{"messages":[]}`, `{"model":"default","messages":"x"}`,
		`{"model":"default","messages":[{"role":"wizard","content":"x"}]}`,
		`{"model":"default","n":1000000000,"messages":[{"role":"user","content":"x"}]}`,
		`{"model":"nobody","messages":[{"role":"user","content":"x"}]}`,
		`{"model":"default","response_format":{"type":"xml"},"messages":[{"role":"user","content":"x"}]}`,
		`{"model":"default","messages":[{"role":"user","content":"` + strings.Repeat("9.11 ", 5000) + `"}]}`,
		`{"model":"default","messages":` + strings.Repeat("[", 100_000),
	} {
		res, err := p.post(t.Context(), body)
		if err != nil {
			t.Errorf("%.80s: %v", body, err)
			continue
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		var e struct {
			Error struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if res.StatusCode < 400 || res.StatusCode > 499 || json.Unmarshal(text, &e) != nil || e.Error.Message == "" {
			t.Errorf("%.80s: %s %s", body, res.Status, text)
		}
	}
	p.answers()
	for i, events := range ends() {
		if n := len(events); n == 0 || events[n-1] != "[DONE]" {
			t.Errorf("stream %d broke", i)
		}
	}
}

func TestChatRunsTheModelInItsOwnProcess(t *testing.T) {
	out, stderr, code := reasond(t, "9.11 and 9.8, which is greater?\n", "chat", "--temperature", "0", "--reasoning", "show")
	if code != 0 || !strings.HasSuffix(out, "\n\n9.8 is greater than 9.11.\n") || !strings.HasPrefix(out, "Align the two") {
		t.Errorf("exit %d\n%s\n%s", code, out, stderr)
	}
}
