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
	// event appends what one event becomes; it keeps nothing of the event.
	event(dst []message, e *llm.Event) []message
	// end closes the stream.
	end(u llm.Usage) []message
}

// message is one message of a stream: a body, or a text in a frame.
type message struct {
	name  string // of the event, where the dialect names them
	body  any    // JSON is made of it; of bytes nothing
	frame *frame // stands for the body where it is not nil
	mark  string // what the message has in the frame
	text  string
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

// send writes what has come, or a sign of life if nothing has: all of it at
// once.
func (c *chat) send(events []llm.Event) error {
	for i := range events {
		e := &events[i]
		if e.Kind == llm.EventFinish {
			if err := c.finished(e); err != nil {
				return err
			}
		}
		if err := c.open(); err != nil {
			return err
		}
		c.messages = c.shape.event(c.messages[:0], e)
		c.x.put(c.messages...)
	}
	if len(events) == 0 {
		if err := c.open(); err != nil {
			return err
		}
		c.x.out = append(c.x.out, c.x.speaks().alive...)
	}
	return c.x.push(c.feed.last)
}

// open begins the stream, once.
func (c *chat) open() error {
	if c.x.w.wrote() {
		return nil
	}
	c.x.beginStream()
	c.x.put(c.shape.begin(c.n)...)
	return nil
}

func (c *chat) closeStream() error {
	c.x.put(c.shape.end(c.usage)...)
	return c.x.push(c.feed.last)
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
	counted   bool        // include_usage
	frames    [][2]*frame // of each choice's reasoning and content
}

func (s *chatShape) begin(n int) []message {
	roles := make([]message, n)
	for i := range roles {
		roles[i].body = s.chunk(nil, openai.ChunkChoice{Index: i, Delta: openai.Delta{Role: &assistant}})
	}
	return roles
}

func (s *chatShape) end(u llm.Usage) []message {
	if !s.counted {
		return nameless(eventDone)
	}
	usage := wireUsage(u)
	return nameless(s.chunk(&usage), eventDone)
}

func (s *chatShape) chunk(usage *openai.Usage, choices ...openai.ChunkChoice) openai.ChatCompletionChunk {
	if choices == nil {
		choices = []openai.ChunkChoice{}
	}
	return openai.ChatCompletionChunk{
		ID: s.id, Object: "chat.completion.chunk", Created: s.created, Model: s.model, Choices: choices, Usage: usage,
	}
}

func (s *chatShape) event(dst []message, e *llm.Event) []message {
	if onlyText(e) {
		return append(dst, message{frame: s.frame(e.Kind, e.Choice), text: e.Text})
	}
	chunk := s.chunk(nil, s.choice(e))
	if e.Kind == llm.EventPrompt {
		if e.Choice > 0 && len(e.IDs) == 0 { // the choices have one prompt
			return dst
		}
		chunk.PromptTokenIDs = e.Prompt.IDs
	}
	return append(dst, message{body: chunk})
}

// frame is what stands around each text of a choice.
func (s *chatShape) frame(kind llm.EventKind, choice int) *frame {
	for len(s.frames) <= choice {
		s.frames = append(s.frames, [2]*frame{})
	}
	place := &s.frames[choice][0]
	if kind == llm.EventContent {
		place = &s.frames[choice][1]
	}
	if *place == nil {
		*place = frameOf(func(text string) any {
			return s.chunk(nil, s.choice(&llm.Event{Choice: choice, Kind: kind, Text: text}))
		})
	}
	return *place
}

func (s *chatShape) choice(e *llm.Event) openai.ChunkChoice {
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
