package server

import (
	"errors"
	"io"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

var assistant = "assistant"

// stream sends the answer event by event: each choice's role, its pieces, its
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
		if err := c.write([]openai.ChunkChoice{c.chunk(e)}, nil); err != nil {
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

// open begins the stream with the choices' roles, once.
func (c *chat) open() error {
	if c.x.w.wrote() {
		return nil
	}
	beginEvents(c.x.w)
	for i := range c.n {
		if err := c.write([]openai.ChunkChoice{{Index: i, Delta: openai.Delta{Role: &assistant}}}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *chat) closeStream() error {
	if c.counted {
		usage := wireUsage(c.usage)
		if err := c.write([]openai.ChunkChoice{}, &usage); err != nil {
			return err
		}
	}
	if err := writeEvent(c.x.w, eventDone); err != nil {
		return gone(err)
	}
	return gone(c.x.w.FlushError())
}

func (c *chat) write(choices []openai.ChunkChoice, usage *openai.Usage) error {
	data, err := marshal(openai.ChatCompletionChunk{
		ID: c.id, Object: "chat.completion.chunk", Created: c.created, Model: c.model, Choices: choices, Usage: usage,
	})
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

func (c *chat) chunk(e llm.Event) openai.ChunkChoice {
	choice := openai.ChunkChoice{Index: e.Choice}
	switch e.Kind {
	case llm.EventReasoning:
		choice.Delta.ReasoningContent, choice.Delta.Reasoning = c.field.texts(&e.Text)
	case llm.EventContent:
		choice.Delta.Content = &e.Text
	case llm.EventFinish:
		reason := string(e.Finish.Reason)
		choice.FinishReason, choice.MatchedStop = &reason, matchedStop(e.Finish)
	}
	return choice
}
