package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/server"
)

// line is a request of a batch file.
func line(id, content, more string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"temperature":0,"messages":[{"role":"user","content":%q}]%s}}`, id, content, more)
}

var batchIDs = regexp.MustCompile(`"(batch_req_|req-|chatcmpl-)[A-Z2-7]{26}"|"created":[0-9]+`)

// The output is the input's order, whatever runs at once, and each answer is
// that of asking alone.
func TestABatchIsAnsweredInOrder(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	input := line("1", greater, "") + "\nnot json\n\n" + line("2", greater, `,"max_tokens":3`) + "\r\n" + line("3", greater, `,"model":"gpt"`) + "\n" +
		line("4", greater, `,"n":0`) + "\n" + line("1", greater, `,"chat_template_kwargs":{"enable_thinking":false}`)
	if err := os.WriteFile(in, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	var outputs []string
	for _, parallel := range []string{"1", "8"} {
		out := filepath.Join(dir, parallel)
		code, stdout, stderr := invoke(t, "", "batch", "-i", in, "-o", out, "--concurrency", parallel, "--dtype", "float32", "--no-enable-prefix-caching")
		if code != exitError || stdout != "" || stderr != "reasond: 3 of 6 requests failed; the output says why\n" {
			t.Errorf("exit %d, %q, %q", code, stdout, stderr)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, batchIDs.ReplaceAllString(string(text), "*"))
	}
	if outputs[0] != outputs[1] {
		t.Errorf("one at a time\n%s\neight at once\n%s", outputs[0], outputs[1])
	}
	const error404 = `{"error":{"message":"there is no such model here; there are: tiny-reasoner, default","type":"invalid_request_error","param":"model","code":"model_not_found"}}`
	want := []string{
		`"custom_id":"1","response":{"status_code":200,"request_id":*,"body":{"id":*,"object":"chat.completion",`,
		`{"id":*,"custom_id":null,"response":null,"error":{"code":"invalid_request","message":"the line is not a JSON object with custom_id, method, url and body"}}`,
		`"finish_reason":"length"`,
		`{"id":*,"custom_id":"3","response":{"status_code":404,"request_id":*,"body":` + error404 + `},"error":null}`,
		`"status_code":400`, `"content":"9.8 is greater than 9.11.","reasoning_content":null`,
	}
	lines := strings.Split(strings.TrimSuffix(outputs[0], "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), outputs[0])
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("line %d: %s\nwant %s", i+1, lines[i], want[i])
		}
	}
}

func TestABatchThatIsAllAnsweredSucceeds(t *testing.T) {
	code, out, stderr := invoke(t, line("a", greater, `,"model":"anything"`)+"\n", "batch", "-i", "-", "-o", "-", "--any-model-name", "--dtype", "float32")
	var got batchResult
	if err := json.Unmarshal([]byte(out), &got); code != exitOK || stderr != "" || err != nil || !got.good() || got.Error != nil || *got.CustomID != "a" {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	if code, out, _ := invoke(t, "", "batch", "-i", "-", "-o", "-"); code != exitOK || out != "" {
		t.Errorf("an empty file: exit %d, %q", code, out)
	}
}

func TestLinesThatAreNoRequests(t *testing.T) {
	for input, want := range map[string]string{
		`[]`: "not a JSON object", `{"custom_id":"a"}`: "method must be", `{"method":"POST"}`: "custom_id is missing", `{"custom_id":7}`: "not a JSON object",
		`{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}`:               "url must be",
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions"}`:                   "body must be an object",
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":[]}`:         "body must be an object",
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{}} {}`:      "text behind",
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{},"x":1}`:   "not a JSON object",
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"a":"b"}}}`: "text behind",
	} {
		if _, err := readBatchRequest(&task{line: []byte(input)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", input, err)
		}
	}
}

// Answers that come in the wrong order are written in the right one, and no
// more run at once than were asked for.
func TestABatchReordersAndIsBounded(t *testing.T) {
	var input strings.Builder
	const n = 100
	for i := range n {
		fmt.Fprintln(&input, line(fmt.Sprint(i), "x", ""))
	}
	var running, most atomic.Int32
	var gates chan struct{} // odd requests wait for even ones
	odd := atomic.Int32{}
	b := batch{parallel: 4, progress: func(int64) {}, answer: func(_ context.Context, body []byte) server.Answer {
		now := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		if odd.Add(1)%2 == 1 {
			select {
			case <-gates:
			case <-time.After(time.Second): // nobody else is left
			}
		} else {
			gates <- struct{}{}
		}
		return server.Answer{ID: "req-x", Status: 200, Body: json.RawMessage("{}")}
	}}
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) { // time passes when all wait
		gates = make(chan struct{}, n)
		if err := b.run(t.Context(), strings.NewReader(input.String()), &out); err != nil {
			t.Fatal(err)
		}
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, l := range lines {
		if !strings.Contains(l, fmt.Sprintf(`"custom_id":"%d"`, i)) {
			t.Errorf("line %d: %s", i, l)
		}
	}
	if len(lines) != n || b.lines != n || b.failed != 0 || most.Load() > 4 || most.Load() < 2 {
		t.Errorf("%d lines, %d failed, %d at once", b.lines, b.failed, most.Load())
	}
}

// broken fails after some bytes.
type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("disk lost")
	}
	n := copy(p, line("a", "x", "")+"\n")
	b.left -= n
	return n, nil
}

func TestABatchEndsWithItsFirstFault(t *testing.T) {
	instant := func(context.Context, []byte) server.Answer {
		return server.Answer{Status: 200, Body: json.RawMessage("{}")}
	}
	endless := &broken{left: 1 << 40}
	run := func(ctx context.Context, in io.Reader, out io.Writer, answer func(context.Context, []byte) server.Answer) error {
		b := batch{parallel: 3, progress: func(int64) {}, answer: answer}
		return b.run(ctx, in, out)
	}
	if err := run(t.Context(), endless, &broken{left: 1000}, instant); err == nil || err.Error() != "disk full" {
		t.Errorf("writing: %v", err)
	}
	if err := run(t.Context(), &broken{left: 1000}, io.Discard, instant); err == nil || err.Error() != "disk lost" {
		t.Errorf("reading: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := run(ctx, endless, io.Discard, func(ctx context.Context, _ []byte) server.Answer {
		cancel()
		<-ctx.Done()
		return server.Answer{Status: 499, Body: json.RawMessage("{}")}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestALineThatIsTooLongIsOneLine(t *testing.T) {
	input := strings.Repeat("x", largestLine+1) + "\n" + line("a", "x", "") + "\n"
	b := batch{parallel: 1, progress: func(int64) {}, answer: func(context.Context, []byte) server.Answer {
		return server.Answer{Status: 200, Body: json.RawMessage("{}")}
	}}
	var out bytes.Buffer
	if err := b.run(t.Context(), strings.NewReader(input), &out); err != nil || b.lines != 2 || b.failed != 1 || !strings.Contains(out.String(), "the line is over 16.0 MiB") {
		t.Errorf("%v, %d lines, %d failed: %.300s", err, b.lines, b.failed, out.String())
	}
}

func TestBatchRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "batch needs --input-file and --output-file"}, {[]string{"-i", "a", "-o", "a"}, exitUsage, "is the input file"},
		{[]string{"-i", "/none/such", "-o", "-"}, exitError, "--input-file"}, {[]string{"-i", "-", "-o", "/none/such"}, exitError, "--output-file"},
	} {
		if code, out, stderr := invoke(t, "", append([]string{"batch"}, c.args...)...); code != c.code || out != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, %q, %q", c.args, code, out, stderr)
		}
	}
}
