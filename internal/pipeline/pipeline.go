package pipeline

import (
	"context"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// Run is one accepted request. Next is called from one goroutine.
type Run struct {
	stream  llm.Stream
	choices []choice
	prompt  int // tokens
	left    int // choices without a finish event
	guides  guides
	live    bool // CloseThought may be called
	preface *preface
	events  []llm.Event
	now     time.Time // when the deltas at hand came
}

// Start takes a request from chat to engine. All that can be wrong with it is
// wrong here, before anything is sent: the error is an *llm.Error. ctx ends the
// request wherever it is.
func (m *Model) Start(ctx context.Context, req *Request) (*Run, error) {
	prompt, err := m.prompt(req)
	if err != nil {
		return nil, err
	}
	sampling, err := m.limits(req, prompt.tokens)
	if err != nil {
		return nil, err
	}
	guides, err := m.guide(ctx, req, &prompt, &sampling)
	if err != nil {
		return nil, err
	}
	submitted := &llm.Request{
		ID: req.ID, Prompt: prompt.Prompt, N: req.N, Sampling: sampling,
		Tenant: req.Tenant, Salt: req.Salt, Priority: req.Priority,
	}
	if guides != nil {
		submitted.Guide = guides.of
	}
	preface, err := m.preface(req, &prompt)
	if err != nil {
		guides.close()
		return nil, err
	}
	submitted.PromptLogprobs = preface.likely()
	stream, err := m.Engine.Submit(ctx, submitted)
	if err != nil {
		guides.close()
		return nil, err
	}
	run := &Run{stream: stream, prompt: prompt.tokens, left: req.N, guides: guides, live: guides != nil && req.Control.Live, preface: preface}
	for i := range req.N {
		run.choices = append(run.choices, m.newChoice(i, req, m.start(req, prompt.open)))
		if guides != nil {
			run.choices[i].guide = guides[i]
		}
		run.choices[i].spent = prompt.spent
	}
	return run, nil
}

// PromptTokens is the prompt's length; where the engine counts it, 0 until the
// end.
func (r *Run) PromptTokens() int { return r.prompt }

// Usage counts a choice's tokens so far; what was cached is known at its end.
func (r *Run) Usage(choice int) llm.Usage {
	c := &r.choices[choice]
	return llm.Usage{Prompt: r.prompt, Completion: c.completed, Reasoning: c.reasoned}
}

// Timeline is a choice's so far.
func (r *Run) Timeline(choice int) llm.Timeline { return r.choices[choice].times }

// Next blocks until there is something to show and returns it, in order; the
// slice is the caller's until the next call. After the last choice's
// EventFinish it returns io.EOF. An error other than EOF is ctx's.
func (r *Run) Next(ctx context.Context) ([]llm.Event, error) {
	r.events = r.events[:0]
	for len(r.events) == 0 {
		if r.left == 0 {
			return nil, io.EOF
		}
		deltas, err := r.stream.Recv(ctx)
		if err != nil {
			return nil, err
		}
		r.now = time.Now()
		for i := range deltas {
			r.apply(&deltas[i])
		}
	}
	return r.events, nil
}

// Came is when that came of which Next made what it returned last.
func (r *Run) Came() time.Time { return r.now }

// CloseThought has each choice that is in a thought end it and answer. It may be
// called from any goroutine; false: the request did not ask for that (Control.Live).
func (r *Run) CloseThought() bool {
	for _, g := range r.guides {
		if r.live {
			g.CloseThought()
		}
	}
	return r.live
}

// Close abandons what still runs. It may be called more than once.
func (r *Run) Close() {
	r.stream.Close()
	r.guides.close()
}

// apply turns one delta into events.
func (r *Run) apply(d *llm.Delta) {
	c := &r.choices[d.Choice]
	c.take(r.events)
	if d.Prompt != nil {
		r.preface.scores = d.Prompt
	}
	if r.preface != nil && !c.prefaced && (len(d.IDs) > 0 || d.Text != "") {
		c.prefaced, c.pending = true, append(c.pending, r.preface.event(d.Choice))
	}
	if match, stopped := c.accept(d); stopped {
		r.stream.Stop(d.Choice, match)
	}
	c.clock(r.now)
	if d.Finish != nil {
		r.settle(c, d.Finish.Usage)
		c.timed = c.reasoned
		c.finish(*d.Finish, r.prompt)
		c.clock(r.now)
		r.left--
	}
	r.events = c.drain()
}

// settle makes the counts those of an engine that counts by itself: its usage
// is the whole request's and comes with the last choice's finish.
func (r *Run) settle(last *choice, usage *llm.Usage) {
	if usage == nil {
		return
	}
	r.prompt = usage.Prompt
	last.completed, last.reasoned = usage.Completion, max(usage.Reasoning, last.reasoned)
	for i := range r.choices {
		if c := &r.choices[i]; c != last {
			last.completed = max(last.completed-c.completed, 0)
		}
	}
	last.reasoned = min(last.reasoned, last.completed)
}

// limits fills in max_tokens and the seed, and refuses what does not fit.
func (m *Model) limits(req *Request, prompt int) (llm.SamplingParams, error) {
	s := req.Sampling
	room := m.MaxContext - prompt
	if m.Tokenizer == nil { // the engine knows what the prompt leaves
		room = s.MaxTokens
	} else if s.MaxTokens == 0 {
		s.MaxTokens = max(room, 1)
		if req.UsualTokens > 0 {
			s.MaxTokens = min(s.MaxTokens, req.UsualTokens)
		}
	}
	if s.MaxTokens > room {
		return s, tooLong(req.promptField(), strconv.Itoa(prompt), req.Sampling.MaxTokens, m.MaxContext)
	}
	if req.Seed != nil {
		s.Seed, s.Seeded = *req.Seed, true
	} else {
		s.Seed = rand.Uint64()
	}
	return s, nil
}
