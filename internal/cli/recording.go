package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// recorded is one choice of a recording: what the model wrote, as it was cut.
type recorded struct {
	index  int
	pieces []string
	whole  string // of servers that send all of the text so far in each event
}

// readRecording takes a recording apart. format is text, jsonl, sse or auto.
func readRecording(data, format string) ([]recorded, error) {
	if !utf8.ValidString(data) {
		return nil, errors.New("the input is not valid UTF-8")
	}
	if format == "auto" {
		format = guessFormat(data)
	}
	if format == "text" {
		return []recorded{{pieces: []string{data}}}, nil
	}
	r := recording{at: map[int]int{}}
	n := 0
	for line := range strings.Lines(data) {
		n++
		line = strings.TrimSpace(line)
		if format == "sse" {
			payload, ok := strings.CutPrefix(line, "data:")
			if line = strings.TrimSpace(payload); !ok || line == "[DONE]" {
				continue // another field, a comment, or the end
			}
		}
		if line == "" {
			continue
		}
		if err := r.event(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(r.choices) == 0 {
		return []recorded{{}}, nil
	}
	slices.SortFunc(r.choices, func(a, b recorded) int { return a.index - b.index })
	return r.choices, nil
}

// guessFormat looks at the first line that is not empty: a field of an event
// stream, an object of JSON lines, or else text.
func guessFormat(data string) string {
	for line := range strings.Lines(data) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		for _, field := range []string{"data:", "event:", "id:", "retry:", ":"} {
			if strings.HasPrefix(line, field) && strings.Contains(data, "data:") {
				return "sse"
			}
		}
		var e event
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &e) == nil && e.known() {
			return "jsonl"
		}
		return "text"
	}
	return "text"
}

// event is one line of JSON: a bare delta, an event of SGLang's /generate, or
// OpenAI's chunk or answer.
type event struct {
	Content *string         `json:"content"`
	Text    *string         `json:"text"`
	Index   int             `json:"index"`
	Meta    json.RawMessage `json:"meta_info"` // SGLang's: Text is all of the text so far
	Choices []struct {
		Index   int     `json:"index"`
		Text    *string `json:"text"`
		Delta   turn    `json:"delta"`
		Message turn    `json:"message"`
	} `json:"choices"`
	Error json.RawMessage `json:"error"`
}

// turn is a message or a piece of one.
type turn struct {
	Content          *string `json:"content"`
	ReasoningContent *string `json:"reasoning_content"`
	Reasoning        *string `json:"reasoning"`
}

func (t turn) split() bool {
	return t.ReasoningContent != nil && *t.ReasoningContent != "" || t.Reasoning != nil && *t.Reasoning != ""
}

func (e *event) known() bool {
	return e.Content != nil || e.Text != nil || e.Choices != nil || e.Error != nil
}

// recording collects events.
type recording struct {
	choices []recorded
	at      map[int]int // a choice's place in choices, by its index
}

func (r *recording) event(line string) error {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		return fmt.Errorf("not an event: %w", err)
	}
	switch {
	case !e.known():
		return errors.New("an object without content, text or choices")
	case len(e.Error) > 0 && string(e.Error) != "null":
		return fmt.Errorf("the recording holds an error: %.200s", e.Error)
	case e.Text != nil && len(e.Meta) > 0:
		return r.soFar(e.Index, *e.Text)
	case e.Content != nil:
		r.add(e.Index, *e.Content)
	case e.Text != nil:
		r.add(e.Index, *e.Text)
	}
	for _, c := range e.Choices {
		if c.Delta.split() || c.Message.split() {
			return errors.New("reasoning is split off already; record with separate_reasoning=false")
		}
		for _, text := range []*string{c.Text, c.Delta.Content, c.Message.Content} {
			if text != nil {
				r.add(c.Index, *text)
			}
		}
	}
	return nil
}

func (r *recording) choice(index int) *recorded {
	if i, ok := r.at[index]; ok {
		return &r.choices[i]
	}
	r.at[index] = len(r.choices)
	r.choices = append(r.choices, recorded{index: index})
	return &r.choices[len(r.choices)-1]
}

func (r *recording) add(index int, text string) {
	c := r.choice(index)
	c.pieces = append(c.pieces, text)
}

// soFar adds what a text has more than the one before it.
func (r *recording) soFar(index int, text string) error {
	c := r.choice(index)
	more, ok := strings.CutPrefix(text, c.whole)
	if !ok {
		return errors.New("the text does not go on from the one before")
	}
	c.whole = text
	c.pieces = append(c.pieces, more)
	return nil
}
