package remote

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// reader follows one answer of the upstream and fills a stream.
type reader struct {
	engine *Engine
	ctx    context.Context
	s      *stream
	watch  *watchdog
	top    int        // likeliest tokens asked for
	usage  *llm.Usage // of the whole request, as last heard
}

// watchdog ends a request when nothing has come for a while.
type watchdog struct {
	timer *time.Timer
}

func newWatchdog(d time.Duration, cancel context.CancelCauseFunc) *watchdog {
	return &watchdog{time.AfterFunc(d, func() { cancel(errSilent) })}
}

// watched counts every byte as a sign of life.
type watched struct {
	io.Reader
	r *reader
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.r.alive()
	return n, err
}

// alive starts the wait anew: a short one when only the usage is missing.
func (r *reader) alive() {
	d := r.engine.cfg.IdleTimeout
	if answered, _ := r.s.state(0); answered {
		d = r.engine.cfg.TrailerTimeout
	}
	r.watch.timer.Reset(d)
}

// read follows the body to its end and returns why it ended, nil if every
// choice has finished.
func (r *reader) read(body io.Reader) error {
	events := newSSEReader(&watched{body, r}, r.engine.cfg.MaxFrame)
	for {
		e, err := events.next()
		if err != nil {
			return r.ended(err)
		}
		if string(e.data) == "[DONE]" {
			return r.ended(io.EOF)
		}
		if err := r.event(e); err != nil {
			return err
		}
		r.alive()
		if err := r.wait(); err != nil {
			return err
		}
	}
}

// ended is what the end of the stream means.
func (r *reader) ended(err error) error {
	answered, _ := r.s.state(0)
	switch cause := context.Cause(r.ctx); {
	case answered:
		return nil
	case cause != nil:
		return cause
	case errors.Is(err, io.EOF):
		return errCut
	case errors.Is(err, errFrameTooLong):
		return &llm.Error{Kind: llm.Internal, Message: "the upstream sent an answer that is not one", Err: err}
	}
	return &llm.Error{Kind: llm.Internal, Message: errCut.Message, Err: err}
}

// event takes one event in.
func (r *reader) event(e sseEvent) error {
	if e.name == "error" {
		return r.failed(e.data)
	}
	var f frame
	if err := json.Unmarshal(e.data, &f); err != nil {
		return &llm.Error{Kind: llm.Internal, Message: "the upstream sent an answer that is not one", Err: err}
	}
	if len(f.Error) > 0 && string(f.Error) != "null" || f.Object == "error" {
		return r.failed(e.data)
	}
	r.engine.stats.frame()
	for i := range f.Choices {
		if err := r.choice(&f.Choices[i], f.Usage, len(f.Choices)); err != nil {
			return err
		}
	}
	// Beside a choice, a running count may be of that choice alone.
	if f.Usage != nil && (len(f.Choices) == 0 || !r.engine.kind.counts || len(r.s.choices) == 1) {
		r.usage = f.Usage.usage()
		if f.Timings != nil && r.usage.Cached == 0 {
			r.usage.Cached = f.Timings.Cached
		}
	}
	if f.Usage != nil && len(f.Choices) == 0 {
		r.s.settle(r.usage)
	}
	return nil
}

func (r *reader) failed(raw []byte) error {
	u := parseError(raw)
	return r.engine.refusal(u.status(), http.Header{}, raw)
}

// choice turns one choice of a frame into deltas: reasoning, content, tool
// calls, in this order, the finish on the last.
func (r *reader) choice(c *frameChoice, usage *frameUsage, inFrame int) error {
	if c.Index < 0 || c.Index >= len(r.s.choices) {
		return llm.Errorf(llm.Internal, "", "the upstream answers with choice %d of %d", c.Index, len(r.s.choices))
	}
	deltas := r.deltas(c)
	logprobs := c.Logprobs.logprobs(r.top)
	if len(deltas) == 0 && (len(logprobs) > 0 || c.FinishReason != "") {
		deltas = append(deltas, llm.Delta{Choice: c.Index})
	}
	if len(deltas) == 0 {
		return nil
	}
	first, last := &deltas[0], &deltas[len(deltas)-1]
	first.Logprobs = logprobs
	// The reader alone touches these fields.
	state := &r.s.choices[c.Index]
	if r.engine.kind.counts && usage != nil && inFrame == 1 && !state.ids {
		first.Tokens = max(usage.Completion-state.tokens, 0)
		state.tokens = max(usage.Completion, state.tokens)
	}
	if c.FinishReason != "" {
		fin := c.finish(state.last, r.engine.eos)
		last.Finish = &fin
	}
	for _, d := range deltas {
		r.s.put(d)
	}
	return nil
}

func (r *reader) deltas(c *frameChoice) []llm.Delta {
	state := &r.s.choices[c.Index]
	ids := c.TokenIDs
	if ids == nil {
		ids = c.GenTokens
	}
	if len(ids) > 0 && r.engine.wantsIDs() {
		state.ids, state.last = true, ids[len(ids)-1]
		return []llm.Delta{{Choice: c.Index, IDs: ids}}
	}
	if state.ids {
		return nil // text that belongs to ids already sent
	}
	var out []llm.Delta
	add := func(channel llm.Channel, text string) {
		if text != "" {
			out = append(out, llm.Delta{Choice: c.Index, Text: text, Channel: channel})
		}
	}
	if c.Delta == nil {
		add(llm.ChannelRaw, c.Text)
		return out
	}
	if thought := c.Delta.thought(r.engine.kind.reasoning); thought != "" {
		r.engine.sawReasoning()
		add(llm.ChannelReasoning, thought)
	}
	add(r.engine.contentChannel(), c.Delta.Content)
	for _, call := range c.Delta.ToolCalls {
		add(llm.ChannelTool, string(call))
	}
	return out
}

// wait lets Recv catch up, so that a client that reads slowly bounds what is
// kept. The upstream's silence does not count meanwhile.
func (r *reader) wait() error {
	for {
		if _, full := r.s.state(r.engine.cfg.MaxUnread); !full {
			return nil
		}
		r.watch.timer.Stop()
		select {
		case <-r.s.room:
			r.alive()
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
	}
}
