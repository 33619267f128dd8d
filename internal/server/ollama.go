package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/reasond/reasond/api/ollama"
	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// ollamaDialect is that of Ollama's own API: lines of JSON. Its clients take every
// line for an answer's, so that there is no sign of life.
var ollamaDialect = dialect{
	lines: true,
	fault: func(f *failure) []byte {
		body, err := marshal(ollama.ErrorResponse{Error: f.message})
		if err != nil {
			panic(err) // a string
		}
		return body
	},
}

// ollamaChat is POST /api/chat.
func (s *Server) ollamaChat(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	wire, err := decoded(s, w, r, ollama.DecodeChat)
	if err != nil {
		return err
	}
	return s.ollama(ctx, w, r, wire, true)
}

// ollamaGenerate is POST /api/generate: a question as a chat of one message, or,
// raw, a prompt as it is.
func (s *Server) ollamaGenerate(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	wire, err := decoded(s, w, r, ollama.DecodeGenerate)
	if err != nil {
		return err
	}
	return s.ollama(ctx, w, r, wire, false)
}

func (s *Server) ollama(ctx context.Context, w http.ResponseWriter, r *http.Request, wire *ollama.Request, chatting bool) error {
	s.cfg.Reasoning.apply(wire.Chat)
	m, err := s.ollamaModel(wire.Chat.Model)
	if err != nil {
		return err
	}
	x := exchangeOf(r.Context())
	if wire.Load {
		s := &ollamaShape{chat: &chat{model: m.Name}, chatting: chatting}
		loaded := s.chunk("", "")
		loaded.Done, loaded.Ended = true, &ollama.Ended{DoneReason: "load"}
		writeJSON(w, loaded)
		return nil
	}
	req := chatRequest(m, wire.Chat, x.tenant)
	if wire.Prompt != nil {
		req.Prompt, req.NoParser = &llm.Prompt{Text: *wire.Prompt}, true
	}
	c, err := s.begin(ctx, x, "ollama-"+rand.Text(), m, req, wire.Chat)
	if err != nil {
		return err
	}
	defer c.end()
	shape := &ollamaShape{chat: c, chatting: chatting, began: time.Now()}
	if c.streamed {
		c.shape = shape
		return c.stream()
	}
	return shape.whole()
}

// ollamaModel finds a model; Ollama's clients put a tag behind its name.
func (s *Server) ollamaModel(name string) (*pipeline.Model, error) {
	m, err := s.model(name)
	if plain, tagged := strings.CutSuffix(name, ":latest"); err != nil && tagged {
		return s.model(plain)
	}
	return m, err
}

// ollamaShape is a stream of Ollama's. Calls are sent whole.
type ollamaShape struct {
	*chat
	chatting bool
	began    time.Time
	calls    []openai.ToolCall
	sent     int // of these
	finish   *llm.Finish
	content  *frame // around pieces of the answer
	thinking *frame // and of the thought
}

func (s *ollamaShape) begin(int) []message { return nil }

func (s *ollamaShape) event(dst []message, e *llm.Event) []message {
	switch e.Kind {
	case llm.EventToolCall:
		before := len(s.calls)
		var err error
		if s.calls, err = addCall(s.calls, e.Text); err != nil || len(s.calls) == before {
			return dst
		}
		return s.complete(dst, len(s.calls)-1) // those before the one that has begun
	case llm.EventReasoning:
		return append(s.complete(dst, len(s.calls)), s.piece(&s.thinking, e.Text, func(text string) ollama.Chunk { return s.chunk("", text) }))
	case llm.EventContent:
		return append(s.complete(dst, len(s.calls)), s.piece(&s.content, e.Text, func(text string) ollama.Chunk { return s.chunk(text, "") }))
	}
	s.finish = e.Finish
	return s.complete(dst, len(s.calls))
}

// complete sends the calls before index n that are not sent yet.
func (s *ollamaShape) complete(dst []message, n int) []message {
	if s.sent >= n {
		return dst
	}
	chunk := s.chunk("", "")
	chunk.Message.ToolCalls = ollamaCalls(s.calls[s.sent:n], s.sent)
	s.sent = n
	return append(dst, message{body: chunk})
}

func ollamaCalls(calls []openai.ToolCall, from int) []ollama.Call {
	list := make([]ollama.Call, len(calls))
	for i, c := range calls {
		list[i].ID, list[i].Function.Index = c.ID, from+i
		list[i].Function.Name, list[i].Function.Arguments = c.Function.Name, asObject(c)
	}
	return list
}

// piece is a piece of a text, in the frame of such.
func (s *ollamaShape) piece(f **frame, text string, chunk func(text string) ollama.Chunk) message {
	if *f == nil {
		at := rand.Text() // in the time's place
		*f = markedFrameOf(at, func(text string) any {
			c := chunk(text)
			c.CreatedAt = at
			return c
		})
	}
	return message{frame: *f, mark: timestamp(), text: text}
}

func timestamp() string { return time.Now().UTC().Format(time.RFC3339Nano) }

func (s *ollamaShape) chunk(content, thinking string) ollama.Chunk {
	c := ollama.Chunk{Model: s.model, CreatedAt: timestamp()}
	if s.chatting {
		c.Message = &ollama.Message{Role: assistant, Content: content, Thinking: thinking}
	} else {
		c.Response, c.Thinking = &content, thinking
		c.Message = nil
	}
	return c
}

func (s *ollamaShape) end(u llm.Usage) []message {
	return nameless(s.ended(s.chunk("", ""), s.finish, u))
}

func (s *ollamaShape) ended(c ollama.Chunk, finish *llm.Finish, u llm.Usage) ollama.Chunk {
	now := time.Now()
	first, times := now, s.run.Timeline(0)
	for _, t := range []time.Time{times.Thought, times.Answer} {
		if !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	c.Done, c.Ended = true, &ollama.Ended{
		DoneReason: "stop", TotalDuration: now.Sub(s.began).Nanoseconds(),
		PromptEvalCount: u.Prompt, PromptEvalDuration: first.Sub(s.began).Nanoseconds(),
		EvalCount: u.Completion, EvalDuration: now.Sub(first).Nanoseconds(),
	}
	if finish != nil && finish.Reason == llm.FinishLength {
		c.DoneReason = "length"
	}
	return c
}

// whole sends the answer in one piece.
func (s *ollamaShape) whole() error {
	replies, err := s.replies()
	if err != nil {
		return err
	}
	r := &replies[0]
	c := s.chunk(r.content.String(), r.reasoning.String())
	if s.chatting {
		c.Message.ToolCalls = ollamaCalls(r.calls, 0)
	}
	writeJSON(s.x.w, s.ended(c, &r.finish, s.usage))
	return nil
}

// ollamaTags is GET /api/tags.
func (s *Server) ollamaTags(w http.ResponseWriter, r *http.Request) {
	c := s.models.Load()
	if c == nil {
		s.fail(w, r, errLoading)
		return
	}
	tags := ollama.Tags{Models: []ollama.Model{}}
	for _, m := range c.models {
		for _, name := range names(m) {
			tags.Models = append(tags.Models, ollamaListed(name, m))
		}
	}
	writeJSON(w, tags)
}

func ollamaListed(name string, m *pipeline.Model) ollama.Model {
	return ollama.Model{
		Name: name, Model: name, ModifiedAt: m.Created.UTC().Format(time.RFC3339), Size: m.Engine.Stats().WeightFileBytes,
		Digest: ollamaDigest(m), Details: ollamaDetails(),
	}
}

// ollamaDigest stands for a model in lists, of which clients show the first 12
// characters: names of one model have one digest. It is none of files.
func ollamaDigest(m *pipeline.Model) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", m.Name, m.Created.Unix(), m.Engine.Stats().WeightFileBytes))
	return hex.EncodeToString(sum[:])
}

func ollamaDetails() ollama.Details { return ollama.Details{Families: []string{}} }

// ollamaShow is POST /api/show.
func (s *Server) ollamaShow(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	wire, err := decoded(s, w, r, func(body []byte) (*string, error) {
		var name string
		err := openai.ReadObject(body, func(member string, v openai.Value) (err error) {
			switch member {
			case "model", "name":
				name, err = v.String(member)
			case "verbose", "system", "template", "options":
			default:
				err = openai.Unknown(member)
			}
			return err
		})
		if err == nil && name == "" {
			err = openai.Missing("model", "must be given")
		}
		return &name, err
	})
	if err != nil {
		return err
	}
	m, err := s.ollamaModel(*wire)
	if err != nil {
		return err
	}
	show := ollama.Show{
		Details: ollamaDetails(), ModifiedAt: m.Created.UTC().Format(time.RFC3339), Capabilities: []string{"completion"},
		ModelInfo: map[string]any{"general.basename": m.Name, "general.architecture": "reasond", "reasond.context_length": m.MaxContext},
	}
	if m.Tools != nil || m.Parser != nil && m.Parser.Tools {
		show.Capabilities = append(show.Capabilities, "tools")
	}
	if m.Parser != nil {
		show.Capabilities = append(show.Capabilities, "thinking")
	}
	writeJSON(w, show)
	return nil
}

// ollamaVersion is GET /api/version.
func (s *Server) ollamaVersion(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]string{"version": s.cfg.Version})
}

// ollamaPs is GET /api/ps: every model that is served is loaded, and stays.
func (s *Server) ollamaPs(w http.ResponseWriter, r *http.Request) {
	c := s.models.Load()
	if c == nil {
		s.fail(w, r, errLoading)
		return
	}
	running := ollama.Running{Models: []ollama.RunningModel{}}
	for _, m := range c.models {
		for _, name := range names(m) {
			running.Models = append(running.Models, ollama.RunningModel{
				Model: ollamaListed(name, m), ExpiresAt: m.Created.UTC().AddDate(100, 0, 0).Format(time.RFC3339), ContextLength: m.MaxContext,
			})
		}
	}
	writeJSON(w, running)
}

// ollamaAlive is GET /, by which Ollama's clients see that somebody is there.
func (s *Server) ollamaAlive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "reasond is running")
}
