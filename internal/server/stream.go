package server

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

var assistant = "assistant"

// shape gives the events of a stream their form on the wire: messages, which
// the dialect then frames.
type shape interface {
	// begin is what a stream of n choices begins with.
	begin(n int) []message
	// event is what one event becomes.
	event(e llm.Event) []message
	// end closes the stream.
	end(u llm.Usage) []message
}

// message is one message of a stream.
type message struct {
	name string // of the event, where the dialect names them
	body any    // JSON is made of it; of bytes nothing
}

// nameless are messages of a dialect that names no events.
func nameless(bodies ...any) []message {
	messages := make([]message, len(bodies))
	for i, body := range bodies {
		messages[i].body = body
	}
	return messages
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
		if err := c.write(c.shape.event(e)); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		if err := c.open(); err != nil {
			return err
		}
		if _, err := c.x.w.Write(c.x.speaks().alive); err != nil {
			return gone(err)
		}
	}
	return gone(c.x.w.FlushError())
}

// open begins the stream, once.
func (c *chat) open() error {
	if c.x.w.wrote() {
		return nil
	}
	c.x.beginStream()
	return c.write(c.shape.begin(c.n))
}

func (c *chat) closeStream() error {
	if err := c.write(c.shape.end(c.usage)); err != nil {
		return err
	}
	return gone(c.x.w.FlushError())
}

func (c *chat) write(messages []message) error {
	for _, m := range messages {
		if err := c.x.send(m); err != nil {
			return gone(err)
		}
	}
	return nil
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
	counted   bool // include_usage
}

func (s chatShape) begin(n int) []message {
	roles := make([]message, n)
	for i := range roles {
		roles[i].body = s.frame(nil, openai.ChunkChoice{Index: i, Delta: openai.Delta{Role: &assistant}})
	}
	return roles
}

func (s chatShape) end(u llm.Usage) []message {
	if !s.counted {
		return nameless(eventDone)
	}
	usage := wireUsage(u)
	return nameless(s.frame(&usage), eventDone)
}

func (s chatShape) frame(usage *openai.Usage, choices ...openai.ChunkChoice) openai.ChatCompletionChunk {
	if choices == nil {
		choices = []openai.ChunkChoice{}
	}
	return openai.ChatCompletionChunk{
		ID: s.id, Object: "chat.completion.chunk", Created: s.created, Model: s.model, Choices: choices, Usage: usage,
	}
}

func (s chatShape) event(e llm.Event) []message {
	chunk := s.frame(nil, s.choice(e))
	if e.Kind == llm.EventPrompt {
		if e.Choice > 0 && len(e.IDs) == 0 { // the choices have one prompt
			return nil
		}
		chunk.PromptTokenIDs = e.Prompt.IDs
	}
	return nameless(chunk)
}

func (s chatShape) choice(e llm.Event) openai.ChunkChoice {
	choice := openai.ChunkChoice{Index: e.Choice, Logprobs: wireLogprobs(e.Logprobs), ReasoningLogprobs: wireThought(e.ThoughtLogprobs), TokenIDs: e.IDs}
	switch e.Kind {
	case llm.EventReasoning:
		choice.Delta.ReasoningContent, choice.Delta.Reasoning = s.field.texts(&e.Text)
	case llm.EventContent:
		choice.Delta.Content = &e.Text
	case llm.EventToolCall:
		choice.Delta.ToolCalls = []json.RawMessage{json.RawMessage(e.Text)}
	case llm.EventFinish:
		reason := string(e.Finish.Reason)
		choice.FinishReason, choice.MatchedStop, choice.ReasoningStop = &reason, matchedStop(e.Finish), e.ThoughtStop
	}
	return choice
}
