package server

import (
	"context"
	"encoding/json"
	"errors"
	"sort"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// beginTruncated is begin for a conversation whose oldest messages may be left
// out until the rest is within the model's context (truncation auto).
func (s *Server) beginTruncated(ctx context.Context, x *exchange, id string, m *pipeline.Model, wire *openai.ChatRequest) (*chat, error) {
	c, err := s.begin(ctx, x, id, m, chatRequest(m, wire, x.tenant), wire)
	if llm.KindOf(err) != llm.TooLong {
		return c, err
	}
	short, fits := s.shortened(ctx, m, wire)
	if !fits {
		return nil, err
	}
	return s.begin(ctx, x, id, m, chatRequest(m, short, x.tenant), short)
}

// shortened leaves out as few messages as will do: never what the system says at
// the beginning, never the last user's message or what follows it, and results of
// tools go with their calls.
func (s *Server) shortened(ctx context.Context, m *pipeline.Model, wire *openai.ChatRequest) (*openai.ChatRequest, bool) {
	var messages []json.RawMessage
	if json.Unmarshal(wire.Messages, &messages) != nil {
		return nil, false
	}
	roles := make([]string, len(messages))
	head, tail := -1, 0 // the messages between them may go
	for i := range messages {
		var message struct{ Role string }
		_ = json.Unmarshal(messages[i], &message) // written by us
		roles[i] = message.Role
		if head < 0 && message.Role != "system" && message.Role != "developer" {
			head = i
		}
		if message.Role == "user" {
			tail = i
		}
	}
	if head < 0 || tail <= head {
		return nil, false
	}
	without := func(k int) *openai.ChatRequest {
		from := head + k
		for from < tail && roles[from] == "tool" {
			from++
		}
		short := *wire
		rest := append(append([]json.RawMessage{}, messages[:head]...), messages[from:]...)
		short.Messages, _ = json.Marshal(rest) // of valid JSON
		return &short
	}
	room := m.MaxContext - 1
	if wire.MaxTokens != nil {
		room = m.MaxContext - *wire.MaxTokens
	}
	k := 1 + sort.Search(tail-head-1, func(k int) bool { return s.promptLength(ctx, m, without(k+1)) <= room })
	return without(k), true
}

// promptLength is a chat's, in tokens; beyond any context if it has none.
func (s *Server) promptLength(ctx context.Context, m *pipeline.Model, wire *openai.ChatRequest) int {
	done, err := s.turn(ctx)
	if err != nil {
		return maxLength
	}
	defer done()
	ids, err := m.ChatTokens(chatRequest(m, wire, ""))
	if err != nil {
		return maxLength
	}
	return len(ids)
}

const maxLength = 1 << 31

// responsesError gives an error about a request the names that this API has.
func responsesError(err error) error {
	var e *llm.Error
	if !errors.As(err, &e) {
		return err
	}
	named := *e
	switch e.Param {
	case "max_tokens":
		named.Param = "max_output_tokens"
	case "messages":
		named.Param = "input"
	default:
		return err
	}
	return &named
}
