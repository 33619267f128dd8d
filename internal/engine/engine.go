// Package engine is the local batching engine: requests in, tokens out. One
// goroutine, the loop, owns the scheduler; another, the runner's, owns the
// device; requests talk to the loop by messages and read from mailboxes that
// the loop never waits for. design.md draws it.
//
// It knows token ids only: no text, no templates, no grammar, no HTTP.
package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/kv"
	"github.com/reasond/reasond/internal/engine/runner"
	"github.com/reasond/reasond/internal/engine/sched"
	"github.com/reasond/reasond/internal/llm"
)

// Engine implements the pipeline's Engine over one backend.
type Engine struct {
	cfg    Config
	info   backend.Info
	runner atomic.Pointer[runner.Runner] // nil while a lost device is opened anew
	inbox  inbox
	ended  chan struct{} // closed when the loop has returned

	live   atomic.Int64  // requests accepted and not finished
	serial atomic.Uint64 // scopes handed out where no prefix is shared

	mu    sync.Mutex // guards stats
	stats llm.Stats

	away atomic.Int64 // unix nanoseconds when the device was lost, once it could not be opened; else 0

	// The rest is the loop's.
	be       backend.Backend
	restart  restart
	sched    *sched.Scheduler
	requests map[*request]struct{}
	arrived  uint64
	steps    []*runner.Step // idle ones
	flight   []*runner.Step // handed to the runner, oldest first
	pace     pace
	costs    costs
	gaps     gaps
	drafts   drafts
	counts   counts
}

// New starts an engine on a backend whose program was built. From then on the
// backend is the engine's, Close included.
func New(cfg Config, be backend.Backend) (*Engine, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, be: be, info: be.Info(), ended: make(chan struct{}), restart: restart{opened: make(chan opened, 1)},
		requests: make(map[*request]struct{}), pace: pace{limit: cfg.MaxPrefillStall}}
	e.inbox.wake = make(chan struct{}, 1)
	e.drafts = newDrafts(&e.cfg, e.info, &e.costs)
	e.sched = e.newScheduler()
	e.steps = newSteps()
	e.publish()
	e.runner.Store(e.newRunner(be))
	go e.loop()
	return e, nil
}

// newScheduler is empty and goes on with the counters of the one before.
func (e *Engine) newScheduler() *sched.Scheduler {
	c := sched.Config{Pages: e.cfg.Backend.Pages, PageTokens: backend.PageTokens, Slots: e.cfg.Backend.MaxSeqs, Logits: e.cfg.Backend.LogitRows(),
		MaxPreemptions: e.cfg.MaxPreemptions}
	if t := e.cfg.tweak.poison; t > 0 {
		c.Pages, c.Scrub = t, kv.Page(t)
	}
	e.drafts.forget()
	if e.drafts.most > 0 {
		c.Drafter = &e.drafts
	}
	s := sched.New(c)
	if e.cfg.tweak.pageOrder != nil {
		s.Pool().Reorder(e.cfg.tweak.pageOrder)
	}
	if e.sched != nil {
		s.Continue(e.sched.Stats())
	}
	return s
}

// Caps: prompts of ids only; the pipeline encodes.
func (e *Engine) Caps() llm.Caps {
	return llm.Caps{IDs: true, Guides: true, Logprobs: true, PromptLogprobs: true, OutputIDs: true, MaxContext: e.maxContext()}
}

// maxContext is what one sequence can reach, by the model and by the KV pages.
func (e *Engine) maxContext() int {
	return min(e.cfg.Backend.MaxContext, e.cfg.Backend.Pages*backend.PageTokens)
}

// Stats is a snapshot as of the last step; Stalled is as of now.
func (e *Engine) Stats() llm.Stats {
	e.mu.Lock()
	s := e.stats
	e.mu.Unlock()
	s.Stalled = e.stalled()
	return s
}

func (e *Engine) stalled() bool {
	if away := e.away.Load(); away != 0 {
		return time.Since(time.Unix(0, away)) > e.cfg.StallLimit
	}
	r := e.runner.Load()
	if r == nil {
		return false
	}
	began, running := r.Began()
	return running && time.Since(began) > e.cfg.StallLimit
}

// Close ends every stream with FinishAbort, waits for the step under way or for
// the device being opened, and closes the backend.
func (e *Engine) Close() error {
	if !e.inbox.close() {
		<-e.ended
		return nil
	}
	<-e.ended
	if r := e.runner.Load(); r != nil {
		r.Close()
	}
	var err error
	if e.be != nil {
		err = e.be.Close()
	}
	return errors.Join(err, e.cfg.Draft.Close())
}

// newRunner starts a backend's goroutine, which the draft model shares.
func (e *Engine) newRunner(be backend.Backend) *runner.Runner {
	if e.drafts.model == nil {
		return runner.New(be, nil, e.cfg.MaskWorkers)
	}
	return runner.New(be, e.cfg.Draft.Backend, e.cfg.MaskWorkers)
}

// Submit accepts a request; see the pipeline's Engine.
func (e *Engine) Submit(ctx context.Context, req *llm.Request) (llm.Stream, error) {
	limit, err := e.check(req)
	if err != nil {
		return nil, err
	}
	if e.stalled() {
		return nil, &llm.Error{Kind: llm.Overloaded, Message: "The engine does not answer at the moment.", RetryAfter: e.cfg.StallLimit}
	}
	if e.live.Add(1) > int64(e.cfg.Backend.MaxSeqs+e.cfg.MaxWaiting) {
		e.live.Add(-1)
		return nil, &llm.Error{Kind: llm.Overloaded, Message: "Too many requests are waiting.", RetryAfter: e.retryAfter()}
	}
	r, err := newRequest(e, req, limit)
	if err == nil && !e.inbox.post(message{kind: submitted, req: r}) {
		err = llm.Errorf(llm.Stopping, "", "The server is stopping.")
	}
	if err != nil {
		e.live.Add(-1)
		return nil, err
	}
	r.stream.watch(context.AfterFunc(ctx, func() {
		e.inbox.post(message{kind: cancelled, req: r})
	}))
	return r.stream, nil
}

// retryAfter is about how long the queue takes to drain: 1 s to 1 min.
func (e *Engine) retryAfter() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := time.Duration(e.counts.requestSeconds * float64(e.cfg.MaxWaiting) / float64(e.cfg.Backend.MaxSeqs) * float64(time.Second))
	return min(max(d, time.Second), time.Minute).Round(time.Second)
}
