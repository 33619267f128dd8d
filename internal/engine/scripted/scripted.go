// Package scripted is an engine whose answers are written down beforehand. It
// stands where the batching engine stands, keeps the same law (one Finish a
// choice, whatever happens) and has the same limits (slots, a bounded queue),
// so that everything above the engine can be tested without a model: faults,
// stalls, slow steps and disconnects at a chosen place.
package scripted

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/reasond/reasond/internal/engine/bell"
	"github.com/reasond/reasond/internal/llm"
)

// Step is what a choice does in one step.
type Step struct {
	IDs   []int32         // tokens that the step yields; or
	Text  string          // text, as a remote engine would
	Wait  <-chan struct{} // hold the step until it is closed
	Err   error           // the step fails: the choice ends with FinishError
	Panic bool            // the step panics; recovered as a device fault is
}

// Config describes the engine. The zero value of every limit is a usable one.
type Config struct {
	// Script gives a choice's steps; after the last one the choice finishes
	// with End. It is called once a choice.
	Script func(req *llm.Request, choice int) []Step
	// End is the finish after the last step; default: stop by EOS id -1.
	End llm.Finish

	StepTime   time.Duration // pause before each step
	Together   bool          // one goroutine takes all requests' steps, as a batching engine does: one every StepTime; Wait is not heeded
	Slots      int           // requests that run at once; default 1024
	Queue      int           // requests that may wait; default: as many as Slots
	MaxContext int           // default 4096
	Caps       llm.Caps      // default: takes ids
}

// Engine implements pipeline.Engine.
type Engine struct {
	cfg   Config
	slots chan struct{}
	done  chan struct{}
	wg    sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	stats   llm.Stats
	batch   []*member // of Together
}

// New starts an engine; it needs no goroutine until a request comes.
func New(cfg Config) *Engine {
	if cfg.Slots == 0 {
		cfg.Slots = 1024
	}
	if cfg.Queue == 0 {
		cfg.Queue = cfg.Slots
	}
	if cfg.MaxContext == 0 {
		cfg.MaxContext = 4096
	}
	if cfg.End.Reason == "" {
		cfg.End = llm.Finish{Reason: llm.FinishStop, StopID: -1}
	}
	if cfg.Caps == (llm.Caps{}) {
		cfg.Caps = llm.Caps{IDs: true, Text: true}
	}
	cfg.Caps.MaxContext = cfg.MaxContext
	e := &Engine{cfg: cfg, slots: make(chan struct{}, cfg.Slots), done: make(chan struct{})}
	if cfg.Together {
		e.wg.Go(e.beat)
	}
	return e
}

// Texts scripts the same text for every request, cut into pieces of n bytes.
func Texts(text string, n int) func(*llm.Request, int) []Step {
	return func(*llm.Request, int) []Step {
		var steps []Step
		for rest := text; rest != ""; {
			k := min(n, len(rest))
			steps, rest = append(steps, Step{Text: rest[:k]}), rest[k:]
		}
		return steps
	}
}

// IDs scripts the same tokens for every request, one a step.
func IDs(ids []int32) func(*llm.Request, int) []Step {
	return func(*llm.Request, int) []Step {
		steps := make([]Step, len(ids))
		for i := range ids {
			steps[i].IDs = ids[i : i+1]
		}
		return steps
	}
}

func (e *Engine) Caps() llm.Caps { return e.cfg.Caps }

func (e *Engine) Stats() llm.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.PagesTotal, s.PagesFree = e.cfg.Slots, e.cfg.Slots-s.Running
	s.LastStep = time.Now().UnixNano()
	return s
}

// Close ends every stream with FinishAbort and waits.
func (e *Engine) Close() error {
	e.mu.Lock()
	if !e.stopped {
		e.stopped = true
		close(e.done)
	}
	e.mu.Unlock()
	e.wg.Wait()
	return nil
}

// Submit queues the request; it runs as soon as a slot is free.
func (e *Engine) Submit(ctx context.Context, req *llm.Request) (llm.Stream, error) {
	if n := len(req.Prompt.IDs) + req.Sampling.MaxTokens; n > e.cfg.MaxContext {
		return nil, &llm.Error{Kind: llm.TooLong, Code: "context_length_exceeded", Message: fmt.Sprintf("prompt and max_tokens come to %d tokens; the model takes %d", n, e.cfg.MaxContext)}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return nil, llm.Errorf(llm.Stopping, "", "the engine has stopped")
	}
	admitted := false
	select {
	case e.slots <- struct{}{}:
		admitted = true
		e.stats.Running++
	default:
		if e.stats.Waiting >= e.cfg.Queue {
			return nil, &llm.Error{Kind: llm.Overloaded, Message: "the queue is full", RetryAfter: time.Second}
		}
		e.stats.Waiting++
	}
	e.stats.PromptTokens += uint64(len(req.Prompt.IDs))
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{ready: bell.New(), cancel: cancel, left: req.N, choices: req.N, times: llm.Times{Accepted: time.Now()}}
	e.wg.Add(1)
	go e.run(ctx, req, s, admitted)
	return s, nil
}

// run takes the request through queue and steps; all its choices move together.
func (e *Engine) run(ctx context.Context, req *llm.Request, s *stream, admitted bool) {
	defer e.wg.Done()
	defer s.cancel()
	if !admitted {
		if err := e.admit(ctx); err != nil {
			s.finishAll(llm.Finish{Reason: llm.FinishAbort, StopID: -1, Err: err})
			return
		}
	}
	defer e.release()
	s.begin()
	choices := make([]choice, req.N)
	for c := range choices {
		choices[c].script = e.cfg.Script(req, c)
	}
	m := &member{ctx: ctx, most: req.Sampling.MaxTokens, stream: s, choices: choices, left: req.N, ended: make(chan struct{})}
	if e.cfg.Together {
		e.join(m)
		return
	}
	for e.advance(m) {
	}
}

// member is a request that runs.
type member struct {
	ctx     context.Context
	stream  *stream
	choices []choice
	left    int           // choices that have not finished
	at      int           // the next step
	most    int           // tokens of a choice
	ended   chan struct{} // closed when it has no more steps; of Together
}

type choice struct {
	script   []Step
	finished bool
}

// advance takes the next step of all of a request's choices and says whether
// there are more.
func (e *Engine) advance(m *member) bool {
	for c := range m.choices {
		if m.choices[c].finished {
			continue
		}
		if fin := e.step(m, c); fin != nil {
			m.stream.finish(c, *fin)
			m.choices[c].finished = true
			m.left--
		}
	}
	m.at++
	return m.left > 0
}

// admit waits for a slot.
func (e *Engine) admit(ctx context.Context) error {
	var err error
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		err = ctx.Err()
	case <-e.done:
		err = errStopping
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Waiting--
	if err == nil {
		e.stats.Running++
	}
	return err
}

func (e *Engine) release() {
	<-e.slots
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Running--
}

var errStopping = llm.Errorf(llm.Stopping, "", "the server is stopping")

// step runs the next step of one choice and says how it ended, if it did.
func (e *Engine) step(m *member, c int) (fin *llm.Finish) {
	defer func() {
		if p := recover(); p != nil {
			fin = &llm.Finish{Reason: llm.FinishError, StopID: -1, Err: fmt.Errorf("step panicked: %v", p)}
		}
	}()
	script := m.choices[c].script
	var step Step
	if m.at < len(script) {
		step = script[m.at]
	}
	if err := e.pause(m.ctx, step.Wait); err != nil {
		return &llm.Finish{Reason: llm.FinishAbort, StopID: -1, Err: err}
	}
	if m.at >= len(script) || step.Panic || step.Err != nil {
		return e.end(m.stream, c, step)
	}
	if match, stopped := m.stream.push(llm.Delta{Choice: c, IDs: step.IDs, Text: step.Text}); stopped {
		return stopAt(match)
	}
	e.mu.Lock()
	e.stats.Steps++
	e.stats.OutputTokens += uint64(max(1, len(step.IDs)))
	e.mu.Unlock()
	if m.at+1 == m.most {
		return &llm.Finish{Reason: llm.FinishLength, StopID: -1}
	}
	return nil
}

// end is how a choice ends with its last step.
func (e *Engine) end(s *stream, c int, last Step) *llm.Finish {
	switch match, stopped := s.stop(c); {
	case stopped:
		return stopAt(match)
	case last.Panic:
		panic("scripted fault")
	case last.Err != nil:
		return &llm.Finish{Reason: llm.FinishError, StopID: -1, Err: last.Err}
	}
	end := e.cfg.End
	return &end
}

func stopAt(match string) *llm.Finish {
	return &llm.Finish{Reason: llm.FinishStop, StopID: -1, StopText: match}
}

func (e *Engine) pause(ctx context.Context, wait <-chan struct{}) error {
	if e.cfg.Together {
		return e.goesOn(ctx)
	}
	var timer <-chan time.Time
	if e.cfg.StepTime > 0 {
		t := time.NewTimer(e.cfg.StepTime)
		defer t.Stop()
		timer = t.C
	}
	for wait != nil || timer != nil {
		select {
		case <-wait:
			wait = nil
		case <-timer:
			timer = nil
		case <-ctx.Done():
			return ctx.Err()
		case <-e.done:
			return errStopping
		}
	}
	return e.goesOn(ctx)
}

// goesOn is why a request ends, if it does.
func (e *Engine) goesOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-e.done:
		return errStopping
	default:
		return nil
	}
}
