package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"time"
)

// chunk is what is read of a streamed chunk or of a whole answer, of chats and of
// completions.
type chunk struct {
	Choices []struct {
		Text         string  `json:"text"`
		Delta        message `json:"delta"`
		Message      message `json:"message"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *usage          `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type message struct {
	Content          string            `json:"content"`
	ReasoningContent string            `json:"reasoning_content"`
	Reasoning        string            `json:"reasoning"` // as vLLM and others call it
	ToolCalls        []json.RawMessage `json:"tool_calls"`
}

func (m *message) thinks() bool  { return m.ReasoningContent != "" || m.Reasoning != "" }
func (m *message) answers() bool { return m.Content != "" || len(m.ToolCalls) > 0 }

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	InPrompt   struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	InCompletion struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

func (r *Request) use(u *usage) {
	if u != nil {
		r.Prompt, r.Completion, r.Cached, r.Reasoning = u.Prompt, u.Completion, u.InPrompt.Cached, u.InCompletion.Reasoning
	}
}

// longestLine is the most bytes of a line of a stream.
const longestLine = 16 << 20

// readStream reads events until the stream ends and notes when deltas came. Lines
// that are no data are comments or names of events, which change nothing.
func readStream(from io.Reader, start time.Time, r *Request) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 16<<10), longestLine)
	ended := false
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			ended = true
			continue // read on, so that the connection ends cleanly
		}
		finished, err := r.event(data, time.Since(start))
		if err != nil {
			return err
		}
		ended = ended || finished
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if !ended {
		return &failure{kindCut, "the stream ended before its end"}
	}
	return nil
}

// event takes one chunk in and says whether it ends a choice.
func (r *Request) event(data []byte, at time.Duration) (finished bool, err error) {
	var c chunk
	if err := json.Unmarshal(data, &c); err != nil {
		return false, &failure{kindFormat, err.Error()}
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return false, &failure{kindEvent, messageOf(data)}
	}
	r.use(c.Usage)
	thinks, answers := false, false
	for i := range c.Choices {
		d := &c.Choices[i]
		thinks = thinks || d.Delta.thinks()
		answers = answers || d.Text != "" || d.Delta.answers()
		finished = finished || d.FinishReason != nil
	}
	if thinks || answers {
		if len(r.At) == 0 {
			r.First = at
		}
		r.At = append(r.At, at)
	}
	if answers && r.Answer == 0 {
		r.Answer = at
	}
	return finished, nil
}

// readWhole reads an answer that is not streamed.
func readWhole(from io.Reader, r *Request) error {
	data, err := io.ReadAll(io.LimitReader(from, longestLine))
	if err != nil {
		return err
	}
	var c chunk
	if err := json.Unmarshal(data, &c); err != nil {
		return &failure{kindFormat, err.Error()}
	}
	r.use(c.Usage)
	if len(c.Choices) == 0 {
		return &failure{kindFormat, "the answer has no choices"}
	}
	if r.Completion == 0 {
		return &failure{kindFormat, "the answer has no usage"}
	}
	return nil
}
