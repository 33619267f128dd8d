package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"time"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// chatCompletions is POST /v1/chat/completions. Whatever is wrong with the
// request is said before the first byte; one event source serves both forms of
// the answer.
func (s *Server) chatCompletions(w http.ResponseWriter, r *http.Request) {
	ctx, leave, err := s.gate.enter(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer leave()
	c, err := s.startChat(ctx, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer c.end()
	if c.streamed {
		err = c.stream()
	} else {
		err = c.whole()
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// startChat takes a request from its body to the engine. What it returns holds
// nothing of the body, which is not counted from then on.
func (s *Server) startChat(ctx context.Context, w http.ResponseWriter, r *http.Request) (*chat, error) {
	x := exchangeOf(r.Context())
	defer s.forgetBody(x)
	body, err := s.readBody(w, r)
	if err != nil {
		return nil, err
	}
	wire, err := openai.DecodeChat(body)
	if err != nil {
		return nil, err
	}
	return s.beginChat(ctx, x, wire)
}

func (s *Server) beginChat(ctx context.Context, x *exchange, wire *openai.ChatRequest) (*chat, error) {
	s.cfg.Reasoning.apply(wire)
	m, err := s.model(wire.Model)
	if err != nil {
		return nil, err
	}
	id := wire.RequestID
	if id == "" {
		id = rand.Text()
	}
	return s.begin(ctx, x, "chatcmpl-"+id, m, chatRequest(m, wire, x.tenant), wire)
}

// begin takes a request to the engine; wire says in which form it is answered.
func (s *Server) begin(ctx context.Context, x *exchange, id string, m *pipeline.Model, req *pipeline.Request, wire *openai.ChatRequest) (*chat, error) {
	return s.beginAll(ctx, x, id, m, []*pipeline.Request{req}, wire)
}

// beginAll takes requests of wire.N choices each to the engine, to be answered
// as one. If one of them is refused none runs.
func (s *Server) beginAll(ctx context.Context, x *exchange, id string, m *pipeline.Model, reqs []*pipeline.Request, wire *openai.ChatRequest) (*chat, error) {
	if stalled(m) {
		return nil, errStalled
	}
	observed := s.metrics.Arrived(m.Name)
	run, err := s.startAll(ctx, m, reqs)
	if err != nil {
		return nil, err
	}
	observed.Started(run, len(reqs)*wire.N)
	x.note(slog.String("model", clip(m.Name, 64)), slog.String("answer", id), slog.Bool("stream", wire.Stream))
	c := &chat{
		x: x, run: run, observed: observed,
		field: s.cfg.Reasoning.Field,
		n:     len(reqs) * wire.N, each: wire.N,
		streamed: wire.Stream, counted: wire.StreamOptions != nil && wire.StreamOptions.IncludeUsage,
		feed: feed{ctx: ctx, run: run, observed: observed, model: m, keepAlive: s.cfg.KeepAlive, last: time.Now()},
		id:   id, model: m.Name, created: time.Now().Unix(),
	}
	c.shape = &chatShape{id: id, model: m.Name, created: c.created, field: c.field, counted: c.counted}
	c.forget = s.live.add(id, x.tenant, run)
	return c, nil
}

// startAll starts every request or none.
func (s *Server) startAll(ctx context.Context, m *pipeline.Model, reqs []*pipeline.Request) (source, error) {
	var runs []*pipeline.Run
	for i, req := range reqs {
		run, err := s.start(ctx, m, req)
		if err != nil {
			for _, r := range runs {
				r.Close()
			}
			return nil, atPrompt(err, i, len(reqs))
		}
		runs = append(runs, run)
	}
	if len(runs) == 1 {
		return runs[0], nil
	}
	return pipeline.Join(runs), nil
}

// start renders, encodes and submits. Rendering and encoding are native calls
// that hold a thread each, so no more of them run than there are cores to gain.
func (s *Server) start(ctx context.Context, m *pipeline.Model, req *pipeline.Request) (*pipeline.Run, error) {
	if err := m.Compile(ctx, req); err != nil {
		return nil, err // other requests do not wait for a grammar
	}
	done, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	run, err := m.Start(ctx, req)
	req.Chat, req.Prompt = llm.Chat{}, nil // rendered; the run need not keep megabytes of it
	return run, err
}

// turn waits until one more native call makes sense; done must be called.
func (s *Server) turn(ctx context.Context) (done func(), err error) {
	select {
	case s.starting <- struct{}{}:
		return func() { <-s.starting }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// chatRequest is the wire request over the model's defaults.
func chatRequest(m *pipeline.Model, wire *openai.ChatRequest, tenant string) *pipeline.Request {
	return &pipeline.Request{
		ID: "chat-" + rand.Text(),
		Chat: llm.Chat{
			Messages: wire.Messages, Tools: wire.Tools, Kwargs: wire.TemplateKwargs,
			AddGenerationPrompt: wire.AddGenerationPrompt, ContinueFinalMessage: wire.ContinueFinalMessage,
		},
		Think: wire.Thinking, Effort: wire.ReasoningEffort, Adaptive: wire.AdaptiveThinking,
		N:        wire.N,
		Sampling: sampling(m.Defaults, wire), Seed: seed(wire),
		Stop: wire.Stop, IncludeStop: wire.IncludeStop,
		SeparateReasoning: wire.SeparateReasoning, RawContent: wire.RawContent, DropReasoning: wire.DropReasoning,
		StreamReasoning: wire.StreamReasoning && wire.Stream,
		KeepSpecial:     wire.KeepSpecial, Tenant: tenant, Salt: wire.CacheSalt, Priority: wire.Priority,
		ReasoningLogprobs: wire.ReasoningLogprobs, PromptLogprobs: wire.PromptLogprobs, TokenIDs: wire.TokenIDs,
		ToolChoice: toolChoice(wire.ToolChoice), OneCall: wire.OneCall,
		Grammar: grammarOf(wire.Grammar), ThoughtGrammar: grammarOf(wire.ThoughtGrammar),
		Control: control(&wire.Control),
	}
}

func seed(wire *openai.ChatRequest) *uint64 {
	if wire.Seed == nil {
		return nil
	}
	seed := uint64(*wire.Seed)
	return &seed
}

func sampling(p llm.SamplingParams, wire *openai.ChatRequest) llm.SamplingParams {
	set(&p.Temperature, wire.Temperature)
	set(&p.TopP, wire.TopP)
	set(&p.TopK, wire.TopK)
	set(&p.MinP, wire.MinP)
	set(&p.PresencePenalty, wire.PresencePenalty)
	set(&p.FrequencyPenalty, wire.FrequencyPenalty)
	set(&p.RepetitionPenalty, wire.RepetitionPenalty)
	set(&p.MaxTokens, wire.MaxTokens)
	set(&p.MinTokens, wire.MinTokens)
	set(&p.IgnoreEOS, wire.IgnoreEOS)
	set(&p.TopLogprobs, wire.TopLogprobs)
	p.Logprobs = wire.Logprobs
	if wire.LogitBias != nil {
		p.LogitBias = wire.LogitBias
	}
	if wire.StopIDs != nil {
		p.StopIDs = wire.StopIDs
	}
	return p
}

func set[T any](dst *T, given *T) {
	if given != nil {
		*dst = *given
	}
}
