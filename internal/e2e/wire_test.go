package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// chatAnswer is an answer, whole or put together from its stream.
type chatAnswer struct {
	status  int
	body    string
	choices []chatChoice
	err     struct{ Message, Param, Code string }
	usage   chatUsage
}

type chatUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

type chatChoice struct {
	reasoning, content, finish, stop string
	calls                            []wireCall
	logprobs, thoughtLogprobs        *wireLogprobs // nil: null
}

type wireCall struct {
	Index    *int
	ID, Type string
	Function struct{ Name, Arguments string }
}

type wireLogprobs struct{ Content []wireLogprob }

type wireLogprob struct {
	Token   string
	Logprob float64
	Bytes   []int
}

// wireChoice is a choice as it comes: with a message, or a delta.
type wireChoice struct {
	Index    int
	Finish   string `json:"finish_reason"`
	Stop     string `json:"reasoning_stop"`
	Logprobs *wireLogprobs
	Thought  *wireLogprobs `json:"reasoning_logprobs"`
	Message  wireMessage
	Delta    wireMessage
}

type wireMessage struct {
	Content   string
	Reasoning string     `json:"reasoning_content"`
	Calls     []wireCall `json:"tool_calls"`
}

// wireAnswer is an answer, a chunk or an error.
type wireAnswer struct {
	Error   struct{ Message, Param, Code string }
	Usage   *chatUsage
	Choices []wireChoice
}

// answer asks and reads the answer, streamed or not.
func (p *process) answer(t *testing.T, body map[string]any) (a chatAnswer) {
	data, err := json.Marshal(body)
	if err != nil {
		t.Error(err)
		return a
	}
	resp, err := p.post(t.Context(), string(data))
	if err != nil {
		t.Error(err)
		return a
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Error(err)
	}
	a.status, a.body = resp.StatusCode, b.String()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		err = a.stream(&b)
	} else {
		err = a.whole(b.Bytes())
	}
	if err != nil {
		t.Errorf("%v: %.500s", err, a.body)
	}
	return a
}

func (a *chatAnswer) whole(data []byte) error {
	var wire wireAnswer
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	a.err = wire.Error
	if wire.Usage != nil {
		a.usage = *wire.Usage
	}
	for i, c := range wire.Choices {
		if c.Index != i {
			return fmt.Errorf("choice %d has index %d", i, c.Index)
		}
		m := c.Message
		a.choices = append(a.choices, chatChoice{m.Reasoning, m.Content, c.Finish, c.Stop, m.Calls, c.Logprobs, c.Thought})
	}
	return nil
}

// stream puts the chunks together: one finish a choice, nothing behind it, the
// usage after all choices, [DONE] last.
func (a *chatAnswer) stream(r io.Reader) error {
	lines, done := bufio.NewScanner(r), false
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case lines.Text() == "":
		case !ok || done:
			return fmt.Errorf("the line %q", lines.Text())
		case data == "[DONE]":
			done = true
		default:
			var wire wireAnswer
			if err := json.Unmarshal([]byte(data), &wire); err != nil {
				return err
			}
			if err := a.chunk(wire); err != nil {
				return err
			}
		}
	}
	if !done {
		return fmt.Errorf("a stream without an end")
	}
	return lines.Err()
}

func (a *chatAnswer) chunk(wire wireAnswer) error {
	if wire.Error.Message != "" {
		return fmt.Errorf("the stream breaks off: %s", wire.Error.Message)
	}
	if wire.Usage != nil {
		a.usage = *wire.Usage
	}
	for _, c := range wire.Choices {
		for len(a.choices) <= c.Index {
			a.choices = append(a.choices, chatChoice{})
		}
		if err := a.choices[c.Index].delta(c); err != nil {
			return fmt.Errorf("choice %d: %w", c.Index, err)
		}
	}
	return nil
}

func (c *chatChoice) delta(w wireChoice) error {
	if c.finish != "" {
		return fmt.Errorf("goes on behind its finish")
	}
	c.reasoning += w.Delta.Reasoning
	c.content += w.Delta.Content
	c.finish, c.stop = w.Finish, w.Stop
	c.logprobs = c.logprobs.with(w.Logprobs)
	c.thoughtLogprobs = c.thoughtLogprobs.with(w.Thought)
	for _, call := range w.Delta.Calls {
		if call.Index == nil || *call.Index > len(c.calls) {
			return fmt.Errorf("a call out of order: %+v", call)
		}
		if *call.Index == len(c.calls) {
			c.calls = append(c.calls, call)
			continue
		}
		known := &c.calls[*call.Index]
		if call.ID != "" || call.Function.Name != "" {
			return fmt.Errorf("a call begins twice: %+v", call)
		}
		known.Function.Arguments += call.Function.Arguments
	}
	return nil
}

// with is l with what a chunk adds.
func (l *wireLogprobs) with(more *wireLogprobs) *wireLogprobs {
	switch {
	case more == nil:
		return l
	case l == nil:
		l = &wireLogprobs{}
	}
	l.Content = append(l.Content, more.Content...)
	return l
}
