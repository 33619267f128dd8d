package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/reasond/reasond/api/openai"
)

// Answer is what a request is answered with, beside HTTP's own.
type Answer struct {
	ID     string // of the request
	Status int
	Body   json.RawMessage // the answer, or OpenAI's error envelope
}

// Chat answers the body of a chat request as POST /v1/chat/completions does,
// without HTTP: the same decoding, limits, pipeline and errors. The answer is
// whole; "stream" is refused. The end of ctx ends it with a status of 499. It
// may be called by many at once.
func (s *Server) Chat(ctx context.Context, body []byte) (answer Answer) {
	x := &exchange{id: "req-" + rand.Text()}
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic", "id", x.id, "panic", clip(fmt.Sprint(p), 256), "stack", clip(string(debug.Stack()), 2048))
			answer = failed(x, errors.New("panic"))
		}
	}()
	completion, err := s.chat(ctx, x, body)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelDebug, "request", slog.String("id", x.id), slog.String("error", clip(err.Error(), 256)))
		return failed(x, err)
	}
	text, err := marshal(completion)
	if err != nil {
		panic(err) // our own types
	}
	return Answer{ID: x.id, Status: http.StatusOK, Body: text}
}

func failed(x *exchange, err error) Answer {
	f := describe(err)
	return Answer{ID: x.id, Status: f.status, Body: f.body()}
}

func (s *Server) chat(ctx context.Context, x *exchange, body []byte) (*openai.ChatCompletion, error) {
	ctx, leave, err := s.gate.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if int64(len(body)) > s.cfg.MaxBody {
		return nil, failf(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than this server accepts")
	}
	wire, err := openai.DecodeChat(body)
	if err != nil {
		return nil, err
	}
	if wire.Stream {
		return nil, openai.Unsupported("stream", "the answer is given whole here")
	}
	c, err := s.beginChat(ctx, x, wire)
	if err != nil {
		return nil, err
	}
	defer c.end()
	return c.answer()
}
