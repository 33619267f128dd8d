package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"

	"github.com/reasond/reasond/api/anthropic"
	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

// anthropicDialect is that of the Messages API: events with names, a ping while
// there is nothing to say.
var anthropicDialect = dialect{
	named: true,
	alive: []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
	fault: func(f *failure) []byte {
		body, err := marshal(anthropic.ErrorResponse{Type: "error", Error: anthropic.ErrorDetail{Type: anthropicType(f.status), Message: f.message, Param: f.param}})
		if err != nil {
			panic(err) // strings only
		}
		return body
	},
}

// anthropicType is error.type by status, as Anthropic's page of errors has it.
func anthropicType(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "invalid_request_error"
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusServiceUnavailable:
		return "overloaded_error"
	}
	if status < 500 {
		return "invalid_request_error"
	}
	return "api_error"
}

// messages is POST /v1/messages, Anthropic's dialect of a chat.
func (s *Server) messages(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	wire, err := decoded(s, w, r, anthropic.DecodeMessages)
	if err != nil {
		return err
	}
	s.cfg.Reasoning.apply(wire)
	m, err := s.model(wire.Model)
	if err != nil {
		return err
	}
	x := exchangeOf(r.Context())
	c, err := s.begin(ctx, x, "msg_"+rand.Text(), m, chatRequest(m, wire, x.tenant), wire)
	if err != nil {
		return err
	}
	defer c.end()
	if !c.streamed {
		return c.message()
	}
	c.shape = &messageShape{chat: c, block: -1}
	return c.stream()
}

// countTokens is POST /v1/messages/count_tokens.
func (s *Server) countTokens(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	wire, m, done, err := asked(ctx, s, w, r, anthropic.DecodeCount, chatModel)
	if err != nil {
		return err
	}
	defer done()
	ids, err := m.ChatTokens(chatRequest(m, wire, ""))
	if err != nil {
		return err
	}
	writeJSON(w, anthropic.Count{InputTokens: len(ids)})
	return nil
}

// message sends the answer in one piece.
func (c *chat) message() error {
	replies, err := c.replies()
	if err != nil {
		return err
	}
	r := &replies[0]
	answer := newMessage(c)
	if text := r.reasoning.String(); text != "" {
		answer.Content = append(answer.Content, anthropic.Block{Type: "thinking", Thinking: &text})
	}
	if text := r.content.String(); text != "" {
		answer.Content = append(answer.Content, anthropic.Block{Type: "text", Text: &text})
	}
	for _, call := range r.calls {
		answer.Content = append(answer.Content, anthropic.Block{Type: "tool_use", ID: call.ID, Name: call.Function.Name, Input: asObject(call)})
	}
	ended := anthropicEnd(&r.finish)
	answer.StopReason, answer.StopSequence, answer.Usage = &ended.StopReason, ended.StopSequence, anthropicUsage(c.usage)
	writeJSON(c.x.w, answer)
	return nil
}

func newMessage(c *chat) anthropic.Message {
	return anthropic.Message{ID: c.id, Type: "message", Role: "assistant", Model: c.model, Content: []anthropic.Block{}}
}

// asObject is a call's arguments; those of a call that was cut short are no JSON,
// and then there are none.
func asObject(call openai.ToolCall) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(call.Function.Arguments), &object) != nil || object == nil {
		return json.RawMessage("{}")
	}
	return json.RawMessage(call.Function.Arguments)
}

func anthropicEnd(f *llm.Finish) anthropic.Ended {
	switch {
	case f.Reason == llm.FinishLength:
		return anthropic.Ended{StopReason: "max_tokens"}
	case f.Reason == llm.FinishToolCalls:
		return anthropic.Ended{StopReason: "tool_use"}
	case f.StopText != "":
		return anthropic.Ended{StopReason: "stop_sequence", StopSequence: &f.StopText}
	}
	return anthropic.Ended{StopReason: "end_turn"}
}

func anthropicUsage(u llm.Usage) anthropic.Usage {
	return anthropic.Usage{InputTokens: u.Prompt - u.Cached, CacheReadInputTokens: u.Cached, OutputTokens: u.Completion}
}

// messageShape is a message's stream: blocks one after the other, each begun and
// stopped.
type messageShape struct {
	*chat
	block  int    // index of the last one; -1: none yet
	open   string // its type; "": it is stopped
	frame  *frame // around the texts of the block that is open
	finish *llm.Finish
}

func (s *messageShape) begin(int) []message {
	m := newMessage(s.chat)
	m.Usage.InputTokens = s.run.PromptTokens()
	return []message{{name: "message_start", body: anthropic.MessageStart{Type: "message_start", Message: m}}}
}

func (s *messageShape) event(dst []message, e *llm.Event) []message {
	switch e.Kind {
	case llm.EventReasoning:
		dst = s.opened(dst, "thinking", anthropic.Block{Type: "thinking", Thinking: new(string)})
		return append(dst, s.piece(e.Text, func(text string) anthropic.Delta { return anthropic.Delta{Type: "thinking_delta", Thinking: &text} }))
	case llm.EventContent:
		dst = s.opened(dst, "text", anthropic.Block{Type: "text", Text: new(string)})
		return append(dst, s.piece(e.Text, func(text string) anthropic.Delta { return anthropic.Delta{Type: "text_delta", Text: &text} }))
	case llm.EventToolCall:
		return s.call(dst, e.Text)
	}
	s.finish = e.Finish
	return dst
}

// opened begins a block unless one of its kind is open.
func (s *messageShape) opened(dst []message, kind string, begun anthropic.Block) []message {
	if s.open == kind {
		return dst
	}
	return append(s.stop(dst), s.start(kind, begun))
}

// piece adds a text to the block that is open.
func (s *messageShape) piece(text string, delta func(text string) anthropic.Delta) message {
	if s.frame == nil {
		s.frame = frameOf(func(text string) any {
			return anthropic.BlockDelta{Type: blockDelta, Index: s.block, Delta: delta(text)}
		})
	}
	return message{name: blockDelta, frame: s.frame, text: text}
}

const blockDelta = "content_block_delta"

func (s *messageShape) start(kind string, b anthropic.Block) message {
	s.block, s.open, s.frame = s.block+1, kind, nil
	return message{name: "content_block_start", body: anthropic.BlockStart{Type: "content_block_start", Index: s.block, Block: b}}
}

func (s *messageShape) stop(dst []message) []message {
	if s.open == "" {
		return dst
	}
	s.open = ""
	return append(dst, message{name: "content_block_stop", body: anthropic.BlockStop{Type: "content_block_stop", Index: s.block}})
}

// call is a piece of a tool call: one that has an id begins a block.
func (s *messageShape) call(dst []message, piece string) []message {
	var p openai.ToolCall
	if json.Unmarshal([]byte(piece), &p) != nil {
		return dst
	}
	if p.ID != "" {
		dst = append(s.stop(dst), s.start("tool_use", anthropic.Block{Type: "tool_use", ID: p.ID, Name: p.Function.Name, Input: json.RawMessage("{}")}))
	}
	if p.Function.Arguments != "" && s.open == "tool_use" {
		dst = append(dst, s.piece(p.Function.Arguments, func(text string) anthropic.Delta {
			return anthropic.Delta{Type: "input_json_delta", PartialJSON: &text}
		}))
	}
	return dst
}

func (s *messageShape) end(u llm.Usage) []message {
	ended := anthropic.Ended{StopReason: "end_turn"}
	if s.finish != nil {
		ended = anthropicEnd(s.finish)
	}
	return append(s.stop(nil),
		message{name: "message_delta", body: anthropic.MessageDelta{Type: "message_delta", Delta: ended, Usage: anthropicUsage(u)}},
		message{name: "message_stop", body: anthropic.MessageStop{Type: "message_stop"}})
}
