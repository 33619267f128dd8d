package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/reasond/reasond/internal/llm"
)

// remoteTalker asks an OpenAI-compatible server.
type remoteTalker struct {
	endpoint string
	options  chatOptions
}

func newRemoteTalker(o chatOptions) (*remoteTalker, error) {
	u, err := url.Parse(o.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageError{fmt.Errorf("--url %q: not a URL such as http://127.0.0.1:8000", o.url)}
	}
	base := strings.TrimSuffix(strings.TrimRight(u.String(), "/"), "/v1")
	return &remoteTalker{base + "/v1/chat/completions", o}, nil
}

func (t *remoteTalker) Close() error { return nil }

// chatBody is what is asked of the server.
type chatBody struct {
	Model       string                     `json:"model"`
	Messages    []message                  `json:"messages"`
	Stream      bool                       `json:"stream"`
	Temperature *float64                   `json:"temperature,omitempty"`
	MaxTokens   int                        `json:"max_tokens,omitempty"`
	Kwargs      map[string]json.RawMessage `json:"chat_template_kwargs,omitempty"`
}

// chatEvent is the part of a stream's event that is shown. Servers name the
// reasoning one way or the other.
type chatEvent struct {
	Choices []struct {
		Delta struct {
			Content          string `json:"content"`
			ReasoningContent string `json:"reasoning_content"`
			Reasoning        string `json:"reasoning"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func (t *remoteTalker) talk(ctx context.Context, messages []message, show func(llm.EventKind, string)) error {
	o := t.options
	body := chatBody{Model: o.model.Path, Messages: messages, Stream: true, MaxTokens: o.maxTokens, Kwargs: o.model.TemplateKwargs}
	if body.Model == "" {
		body.Model = "default"
	}
	if o.temperature >= 0 {
		body.Temperature = &o.temperature
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if o.apiKey != "" {
		req.Header.Set("Authorization", "Bearer "+o.apiKey)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return refusal(res)
	}
	return readEvents(res.Body, show)
}

// refusal is the server's reason for an answer that is no success.
func refusal(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	var e chatEvent
	if json.Unmarshal(text, &e) == nil && e.Error != nil && e.Error.Message != "" {
		return fmt.Errorf("the server answered %s: %s", res.Status, e.Error.Message)
	}
	return fmt.Errorf("the server answered %s", res.Status)
}

// readEvents shows a stream's events. A stream that ends before its finish is an
// error: half an answer must not look like a whole one.
func readEvents(stream io.Reader, show func(llm.EventKind, string)) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 16<<20)
	finished := false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue // a comment, or a field that says nothing here
		}
		if data = strings.TrimSpace(data); data == "[DONE]" {
			break
		}
		var e chatEvent
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("the server's stream: %w", err)
		}
		if e.Error != nil {
			return fmt.Errorf("the server stopped: %s", e.Error.Message)
		}
		for _, c := range e.Choices {
			if text := c.Delta.ReasoningContent; text != "" {
				show(llm.EventReasoning, text)
			} else if text := c.Delta.Reasoning; text != "" {
				show(llm.EventReasoning, text)
			}
			if c.Delta.Content != "" {
				show(llm.EventContent, c.Delta.Content)
			}
			finished = finished || c.FinishReason != ""
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the server's stream: %w", err)
	}
	if !finished {
		return errors.New("the server's stream broke off")
	}
	return nil
}
