package server

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

var assistant = "assistant"

// shape gives the events of a stream their form on the wire.
type shape interface {
	// begin is what a stream of n choices begins with.
	begin(n int) []any
	chunk(e llm.Event) any
	usage(u openai.Usage) any
}

// stream sends the answer event by event: each choice's beginning, its pieces, its
// finish; then the usage if asked for, and [DONE]. The header goes out with the
// first of them, so that an error before it still has its status; after it an
// error is an event, and no [DONE] follows.
func (c *chat) stream() error {
	for {
		events, err := c.feed.next()
		if errors.Is(err, io.EOF) {
			return c.closeStream()
		}
		if err != nil {
			return err
		}
		if err := c.send(events); err != nil {
			return err
		}
	}
}

// send writes what has come, or a sign of life if nothing has.
func (c *chat) send(events []llm.Event) error {
	for _, e := range events {
		if e.Kind == llm.EventFinish {
			if err := c.finished(e); err != nil {
				return err
			}
		}
		if err := c.open(); err != nil {
			return err
		}
		if err := c.write(c.shape.chunk(e)); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		if err := c.open(); err != nil {
			return err
		}
		if _, err := c.x.w.Write(eventComment); err != nil {
			return gone(err)
		}
	} else {
		c.observed.Text()
	}
	return gone(c.x.w.FlushError())
}

// open begins the stream, once.
func (c *chat) open() error {
	if c.x.w.wrote() {
		return nil
	}
	beginEvents(c.x.w)
	for _, chunk := range c.shape.begin(c.n) {
		if err := c.write(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (c *chat) closeStream() error {
	if c.counted {
		if err := c.write(c.shape.usage(wireUsage(c.usage))); err != nil {
			return err
		}
	}
	if err := writeEvent(c.x.w, eventDone); err != nil {
		return gone(err)
	}
	return gone(c.x.w.FlushError())
}

func (c *chat) write(chunk any) error {
	data, err := marshal(chunk)
	if err != nil {
		panic(err) // our own types
	}
	return gone(writeEvent(c.x.w, data))
}

// gone is a failed write: the client has left or does not read.
func gone(err error) error {
	if err == nil {
		return nil
	}
	return &llm.Error{Kind: llm.Cancelled, Message: "the client does not take the stream", Err: err}
}

// chatShape is a chat's stream: each choice's role first.
type chatShape struct {
	id, model string
	created   int64
	field     Field
}

func (s chatShape) begin(n int) []any {
	roles := make([]any, n)
	for i := range roles {
		roles[i] = s.frame(nil, openai.ChunkChoice{Index: i, Delta: openai.Delta{Role: &assistant}})
	}
	return roles
}

func (s chatShape) usage(u openai.Usage) any { return s.frame(&u) }

func (s chatShape) frame(usage *openai.Usage, choices ...openai.ChunkChoice) openai.ChatCompletionChunk {
	if choices == nil {
		choices = []openai.ChunkChoice{}
	}
	return openai.ChatCompletionChunk{
		ID: s.id, Object: "chat.completion.chunk", Created: s.created, Model: s.model, Choices: choices, Usage: usage,
	}
}

func (s chatShape) chunk(e llm.Event) any { return s.frame(nil, s.choice(e)) }

func (s chatShape) choice(e llm.Event) openai.ChunkChoice {
	choice := openai.ChunkChoice{Index: e.Choice}
	switch e.Kind {
	case llm.EventReasoning:
		choice.Delta.ReasoningContent, choice.Delta.Reasoning = s.field.texts(&e.Text)
	case llm.EventContent:
		choice.Delta.Content, choice.Logprobs = &e.Text, wireLogprobs(e.Logprobs)
	case llm.EventToolCall:
		choice.Delta.ToolCalls = []json.RawMessage{json.RawMessage(e.Text)}
	case llm.EventFinish:
		reason := string(e.Finish.Reason)
		choice.FinishReason, choice.MatchedStop, choice.ReasoningStop = &reason, matchedStop(e.Finish), e.ThoughtStop
	}
	return choice
}
