package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/runner"
	"github.com/reasond/reasond/internal/engine/sched"
	"github.com/reasond/reasond/internal/llm"
)

// loop owns all scheduling state: plan, run, apply. It ends when the inbox is
// closed and the last step has come back.
func (e *Engine) loop() {
	defer close(e.ended)
	watch := time.NewTicker(e.cfg.StallLimit / 4)
	defer watch.Stop()
	for {
		select {
		case <-e.inbox.wake:
			e.readInbox()
			if e.inbox.isClosed() {
				e.shutDown()
				return
			}
		case s := <-e.done():
			e.guarded(func() { e.landed(s) })
		case <-e.restart.again:
			e.restart.again, e.restart.due = nil, true
		case o := <-e.restart.opened:
			e.guarded(func() { e.reopened(o) })
		case <-watch.C:
			e.guarded(e.failWaitingIfStalled)
		}
		e.guarded(e.startSteps)
		e.publish()
	}
}

// guarded turns a broken invariant into failed requests instead of a dead
// process: all requests end and the scheduler starts empty.
func (e *Engine) guarded(f func()) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("engine: panic in the loop: %v", p)
			e.cfg.Log.Error("engine loop panicked; all requests fail", "err", err, "stack", string(debug.Stack()))
			e.drain()
			e.sched, e.steps = e.newScheduler(), newSteps()
			for r := range e.requests {
				for i := range r.choices {
					r.choices[i].seq = nil
					e.fail(&r.choices[i], err)
				}
			}
		}
	}()
	f()
}

// done is where steps come back; nil, from which nothing ever comes, without a
// device.
func (e *Engine) done() <-chan *runner.Step {
	if r := e.runner.Load(); r != nil {
		return r.Done()
	}
	return nil
}

func newSteps() []*runner.Step {
	return []*runner.Step{new(runner.Step), new(runner.Step), new(runner.Step)}
}

// drain waits for the steps under way and drops their results.
func (e *Engine) drain() {
	for range e.flight {
		e.steps = append(e.steps, <-e.done())
	}
	e.flight = e.flight[:0]
}

// readInbox guards each message by itself: none is lost to another's fault.
func (e *Engine) readInbox() {
	for _, m := range e.inbox.take() {
		e.guarded(func() { e.on(m) })
	}
}

func (e *Engine) on(m message) {
	switch m.kind {
	case submitted:
		e.add(m.req)
	case cancelled:
		e.abort(m.req, llm.Errorf(llm.Cancelled, "", "The request was cancelled."))
	case stopped: // the stream has its finish; this frees slot and pages
		e.finish(&m.req.choices[m.choice], llm.Finish{})
	}
}

// add takes an accepted request in.
func (e *Engine) add(r *request) {
	e.requests[r] = struct{}{}
	r.arrival = e.arrived
	e.arrived++
	e.enqueue(r)
}

// enqueue lets a request's choices wait; those that have ended leave at once.
func (e *Engine) enqueue(r *request) {
	guided := make([]bool, len(r.choices))
	for i := range r.choices {
		guided[i] = r.choices[i].guide != nil
	}
	g, err := e.sched.Add(sched.Request{Prompt: r.prompt, N: len(r.choices), Limit: r.limit, Priority: r.priority, Guided: guided, Scope: r.scope, Score: r.scores != nil})
	for i := range r.choices {
		c := &r.choices[i]
		if err != nil { // Submit has checked it; an engine with poison has a page less
			e.fail(c, err)
			continue
		}
		c.seq = g.Seqs[i]
		c.seq.Owner = c
		if c.ended {
			e.sched.Finish(c.seq)
		}
	}
}

// startSteps keeps the runner busy: one step runs, the next one waits behind it.
func (e *Engine) startSteps() {
	if e.restart.down {
		e.reopen()
		return
	}
	for len(e.flight) < e.cfg.tweak.overlap && !e.hanging() {
		e.drafts.begin()
		p := e.sched.Plan(e.budget())
		if p == nil {
			return
		}
		s := e.steps[len(e.steps)-1]
		e.steps = e.steps[:len(e.steps)-1]
		e.load(s, p)
		e.flight = append(e.flight, s)
		e.runner.Load().Start(s)
	}
}

// hanging says that the last step under way has guided rows or guesses in it. The next
// plan waits for their results: planned now it would leave those sequences out, and
// they would run in every second step only.
func (e *Engine) hanging() bool {
	n := len(e.flight)
	return n > 0 && (len(e.flight[n-1].Guides) > 0 || e.flight[n-1].Plan.Drafts > 0)
}

// load fills a step: the plan, the slots it binds anew, and its guides.
func (e *Engine) load(s *runner.Step, p *sched.Plan) {
	s.Plan, s.Binds, s.Guides, s.Likely = p, s.Binds[:0], s.Guides[:0], nil
	guided := false
	for i := range p.Items {
		it := &p.Items[i]
		c := it.Seq.Owner.(*choice)
		if it.Fresh || c.rebind {
			c.rebind = false
			s.Binds = append(s.Binds, runner.Bind{Slot: it.Slot, State: c.slot(e.cfg.EOS)})
		}
		if !c.req.begun {
			c.req.begun = true
			c.req.stream.setCached(it.Seq.Group().Cached)
		}
		if len(it.Score) > 0 {
			if s.Likely == nil {
				s.Likely = make([]int, len(p.Items))
			}
			s.Likely[i] = c.req.scores.likely
		}
		guided = guided || it.Guided && it.Logits > 0
		s.Guides = append(s.Guides, c.guide)
	}
	if !guided {
		s.Guides = s.Guides[:0]
	}
	e.drafts.ahead(s, e.sched.Running())
}

// landed takes a step's results: known tokens go to the scheduler, then to
// guides and streams.
func (e *Engine) landed(s *runner.Step) {
	e.flight = e.flight[:copy(e.flight, e.flight[1:])]
	defer func() { e.steps = append(e.steps, s) }()
	if e.restart.down { // it was behind the step that failed
		return
	}
	e.counts.step(s)
	if e.cfg.tweak.landed != nil {
		e.cfg.tweak.landed(e.counts.steps)
	}
	e.checkDraft(s)
	if s.Err != nil {
		e.logFault(s)
		e.drafts.forget() // what of the step was done is not known
		if errors.Is(s.Err, backend.ErrLost) && e.cfg.Reopen != nil {
			e.lose(s.Err)
			return
		}
		for _, q := range e.sched.Fail() {
			e.fail(q.Owner.(*choice), s.Err)
		}
		return
	}
	e.restart.delay = 0
	e.learn(s)
	e.drafts.learn(s)
	e.sched.Apply(s.Results)
	for i := range s.Plan.Items {
		it := &s.Plan.Items[i]
		c := it.Seq.Owner.(*choice)
		if c.ended {
			continue
		}
		if c.req.scores != nil && !e.scored(c, it.Start, &s.Rows[i]) || it.Logits == 0 {
			continue
		}
		e.sampled(c, s.Results[i].Tokens, &s.Rows[i])
	}
}

func (e *Engine) logFault(s *runner.Step) {
	args := append([]any{"sequences", len(s.Plan.Items)}, fault(s.Err)...)
	e.cfg.Log.Error("a step failed; its requests end", args...)
}

// checkDraft goes on without a draft model that has failed.
func (e *Engine) checkDraft(s *runner.Step) {
	if s.DraftErr != nil && e.drafts.model != nil {
		e.drafts.model = nil
		e.cfg.Log.Error("the draft model failed; the model goes on without it", fault(s.DraftErr)...)
	}
}

func fault(err error) []any {
	var p *runner.PanicError
	if errors.As(err, &p) {
		return []any{"err", err, "stack", string(p.Stack)}
	}
	return []any{"err", err}
}

// scored hands on what a row says of its request's prompt, and reports whether
// the choice goes on.
func (e *Engine) scored(c *choice, start int, row *runner.Row) bool {
	if row.Err != nil {
		e.fail(c, row.Err)
		return false
	}
	if start < len(c.req.prompt) {
		if all := c.req.scores.add(start, row.Prompt); all != nil {
			c.req.stream.score(c.index, all)
		}
	}
	return true
}

// sampled handles what an item gave: tokens, and perhaps a fault behind them.
func (e *Engine) sampled(c *choice, ids []int32, row *runner.Row) {
	if len(ids) > 0 {
		var logprobs []llm.Logprobs
		if c.params.Logprobs {
			logprobs = row.Logprobs
		}
		e.counts.tokens += uint64(len(ids)) // guesses end where the choice may
		if !c.begun {
			c.begun, c.first = true, e.gaps.join()
		}
		if !e.deliver(c, ids, logprobs) && c.guide != nil {
			e.guideOn(c, ids)
		}
	}
	if row.Err != nil {
		e.fail(c, row.Err)
	}
}

var errStalled = errors.New("engine: a step exceeds the stall limit")

// failWaitingIfStalled ends requests that wait for a device that hangs; those
// that run may still go on if it comes back.
func (e *Engine) failWaitingIfStalled() {
	if !e.stalled() {
		return
	}
	e.cfg.Log.Error("the engine makes no progress; requests that wait end", "limit", e.cfg.StallLimit, "device lost", e.restart.down)
	for r := range e.requests {
		for i := range r.choices {
			if c := &r.choices[i]; !c.ended && !c.seq.Running() {
				e.finish(c, llm.Finish{Reason: llm.FinishError, StopID: -1,
					Err: &llm.Error{Kind: llm.Overloaded, Message: "The engine does not answer at the moment.", RetryAfter: e.cfg.StallLimit, Err: errStalled}})
			}
		}
	}
}

// shutDown ends all streams first: the step under way may take its time.
func (e *Engine) shutDown() {
	e.readInbox() // nothing can be posted any more
	for r := range e.requests {
		e.abort(r, llm.Errorf(llm.Stopping, "", "The server is stopping."))
	}
	e.drain()
	e.awaitOpening()
	e.publish()
}
