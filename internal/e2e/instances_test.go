package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fronts are the ways to stand in front of another instance, with the arguments
// that choose them.
var fronts = []struct {
	name string
	args []string
}{
	{"chat", []string{"--upstream-kind", "reasond", "--reasoning-parser", "qwen3", "--tool-call-parser", "hermes"}},
	{"completions", []string{"../../testdata/tiny-reasoner", "--upstream-kind", "reasond", "--upstream-mode", "completions"}},
}

func startInFront(t *testing.T, up *process, args []string) *process {
	t.Helper()
	return start(t, append([]string{"--upstream", "default=" + up.base}, args...)...)
}

// goldenCase is a chat and what transformers answered.
type goldenCase struct {
	Name     string                     `json:"name"`
	Messages json.RawMessage            `json:"messages"`
	Kwargs   map[string]json.RawMessage `json:"kwargs"`
	Prompt   []int32                    `json:"prompt_ids"`
	Output   []int32                    `json:"output_ids"`
	Text     string                     `json:"output_text"`
}

func goldenCases(t *testing.T) []goldenCase {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []goldenCase `json:"cases"`
	}
	if err := json.Unmarshal(data, &file); err != nil || len(file.Cases) < 30 {
		t.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	return file.Cases
}

// body is the case as a chat request.
func (c *goldenCase) body(t *testing.T, stream bool) string {
	t.Helper()
	body := map[string]any{"model": "default", "messages": c.Messages, "temperature": 0, "stream": stream}
	if stream {
		body["stream_options"] = map[string]bool{"include_usage": true}
	}
	kwargs := map[string]json.RawMessage{}
	for name, v := range c.Kwargs {
		if name == "tools" {
			body["tools"] = v
		} else {
			kwargs[name] = v
		}
	}
	body["chat_template_kwargs"] = kwargs
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// told is an answer of either form, put together.
type told struct {
	reasoning, content, finish string
	call                       string // name and arguments
	prompt, tokens             int
}

func (c *goldenCase) want() told {
	w := told{content: strings.TrimSuffix(c.Text, "<|im_end|>"), finish: "stop", prompt: len(c.Prompt), tokens: len(c.Output)}
	if rest, thought := strings.CutPrefix(w.content, "<think>"); thought {
		w.reasoning, w.content, _ = strings.Cut(rest, "</think>")
	}
	if before, call, called := strings.Cut(w.content, "<tool_call>\n{\"name\": \""); called {
		call = strings.TrimSuffix(strings.TrimSuffix(call, "\n</tool_call>"), "}")
		w.content, w.finish, w.call = strings.TrimSpace(before), "tool_calls", strings.Replace(call, `", "arguments": `, "", 1)
	}
	return w
}

// add joins an answer, or a chunk of one, to what came before.
func (got *told) add(data []byte) error {
	var a struct {
		Error   json.RawMessage `json:"error"`
		Choices []struct {
			Message, Delta struct {
				Reasoning string `json:"reasoning_content"`
				Content   string `json:"content"`
				Calls     []struct {
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			}
			Finish string `json:"finish_reason"`
		} `json:"choices"`
		Usage *struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(data, &a); err != nil || a.Error != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	for _, c := range a.Choices {
		got.reasoning += c.Message.Reasoning + c.Delta.Reasoning
		got.content += c.Message.Content + c.Delta.Content
		for _, call := range append(c.Message.Calls, c.Delta.Calls...) {
			got.call += call.Function.Name + call.Function.Arguments
		}
		got.finish += c.Finish
	}
	if a.Usage != nil {
		got.prompt, got.tokens = a.Usage.Prompt, a.Usage.Completion
	}
	return nil
}

// tell puts a case to the process and reads the whole answer.
func (p *process) tell(c *goldenCase, stream bool) (got told, err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	res, err := p.post(ctx, c.body(p.t, stream))
	if err != nil {
		return got, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return got, fmt.Errorf("%s %s %w", res.Status, body, err)
	}
	if !stream {
		return got, got.add(body)
	}
	events, ended := bytes.CutSuffix(body, []byte("data: [DONE]\n\n"))
	if !ended {
		return got, fmt.Errorf("the stream does not end with [DONE]: %s", body)
	}
	for line := range bytes.Lines(events) {
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && err == nil {
			err = got.add(data)
		}
	}
	return got, err
}

// transformers computed the goldens; each way in front of an instance gives them
// byte for byte, streamed or not, eight at once.
func TestOneInstanceInFrontOfAnotherGivesEveryGoldenAnswer(t *testing.T) {
	up := start(t, "--dtype", "float32")
	cases := goldenCases(t)
	for _, way := range fronts {
		t.Run(way.name, func(t *testing.T) {
			front := startInFront(t, up, way.args)
			places := make(chan struct{}, 8)
			var wg sync.WaitGroup
			for i := range 2 * len(cases) {
				wg.Go(func() {
					places <- struct{}{}
					defer func() { <-places }()
					c, stream := &cases[i/2], i%2 == 1
					if got, err := front.tell(c, stream); err != nil || got != c.want() {
						t.Errorf("%s, streamed %v: %v\n got %+v\nwant %+v", c.Name, stream, err, got, c.want())
					}
				})
			}
			wg.Wait()
		})
	}
}

// An upstream that is killed ends each stream with an error event, not with a
// finish, and within two seconds, more where answers take long; who asks
// afterwards is told.
func TestAKilledUpstreamEndsEachStreamWithAnError(t *testing.T) {
	for _, way := range fronts {
		t.Run(way.name, func(t *testing.T) {
			up := start(t)
			front := startInFront(t, up, way.args)
			asked := time.Now()
			front.answers()
			limit := 2*time.Second + 10*time.Since(asked)
			ends := front.streams(4)
			up.signal(syscall.SIGKILL)
			killed := time.Now()
			all := ends()
			if took := time.Since(killed); took > limit {
				t.Errorf("the streams ended %v after the upstream, must be within %v", took, limit)
			}
			for i, events := range all {
				if n := len(events); n < 2 || !strings.HasPrefix(events[n-1], `{"error":{`) || strings.Contains(strings.Join(events, ""), `"finish_reason":"`) {
					t.Errorf("stream %d ended with %q", i, events[max(0, len(events)-2):])
				}
			}
			res, err := front.post(t.Context(), short)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "cannot be reached") {
				t.Errorf("afterwards: %s %s", res.Status, body)
			}
		})
	}
}
