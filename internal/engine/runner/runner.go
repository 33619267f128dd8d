// Package runner turns a plan into a step of one device. It owns the device's
// goroutine, locked to its OS thread: nobody else calls the backend. Steps go in
// and come back in the same order; what fails, an error or a panic, is the
// step's, and the runner goes on with the next one.
package runner

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/sched"
	"github.com/reasond/reasond/internal/llm"
)

// Bind gives a slot to a sequence, or renews its state, before a step.
type Bind struct {
	Slot  int
	State backend.Slot
}

// Step is one plan on its way through the device. Its owner fills the first
// part, hands it to Start, and reads the second when Done returns it. Steps are
// reused: what they point to is valid until then.
type Step struct {
	Plan   *sched.Plan
	Binds  []Bind
	Guides []llm.Guide // per item; nil: no guide
	Likely []int       // per item: how many of the likeliest go with each scored token; nil: none is scored

	Ahead       []Ahead      // per item: what the draft model does before; empty: nothing
	DraftCopies []sched.Copy // those of Plan.Copies that the draft model does too

	Results []sched.Result // per item
	Rows    []Row          // per item
	Took    time.Duration  // the draft model's part included
	Err     error          // the whole step failed; Results and Rows say nothing

	DraftTook time.Duration // of this, what the draft model took
	Passes    []Pass        // of the draft model, those that made guesses
	DraftErr  error         // the draft model has failed, and guesses no more; the step did without

	made     []int   // per item: guesses that the draft model has made
	tokens   []int32 // all items', one behind the other
	logprobs []llm.Logprobs
	logits   []float32 // a row of them
}

// Row is what is known of an item's sampled tokens beside their ids. Logprobs are
// zeros where the slot does not ask for any.
type Row struct {
	Logprobs []llm.Logprobs      // of each of Result.Tokens; Top may be kept
	Prompt   []llm.PromptLogprob // of the item's Score
	Err      error               // the item failed alone: no token behind Result.Tokens
}

// PanicError is a panic in a step. Its text leaves the stack to the log.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("runner: panic in a step: %v", e.Value) }

// Runner is a device's goroutine.
type Runner struct {
	be    backend.Backend
	draft drafter
	todo  chan *Step
	done  chan *Step
	ended chan struct{}
	masks *masks
	began atomic.Int64 // unix nanoseconds when the running step began; 0: idle
}

// New starts the goroutine. Guides' masks are computed by this many workers. draft is
// the backend of a model that guesses ahead, with as many slots and pages; nil: there
// is none. It is called from the same goroutine.
func New(be, draft backend.Backend, maskWorkers int) *Runner {
	r := &Runner{be: be, draft: newDrafter(draft, be), todo: make(chan *Step, 2), done: make(chan *Step, 2), ended: make(chan struct{})}
	r.masks = newMasks(maskWorkers)
	go r.run()
	return r
}

// Start hands a step over. At most two may be under way; then it does not block.
func (r *Runner) Start(s *Step) { r.todo <- s }

// Done returns steps as they end, in order.
func (r *Runner) Done() <-chan *Step { return r.done }

// Began is when the running step began; false when none runs.
func (r *Runner) Began() (time.Time, bool) {
	ns := r.began.Load()
	return time.Unix(0, ns), ns != 0
}

// Close waits for the goroutine to end. All steps must have come back.
func (r *Runner) Close() {
	close(r.todo)
	<-r.ended
	r.masks.close()
}

func (r *Runner) run() {
	runtime.LockOSThread()
	defer close(r.ended)
	for s := range r.todo {
		start := time.Now()
		r.began.Store(start.UnixNano())
		s.Err = r.step(s)
		s.Took = time.Since(start)
		r.began.Store(0)
		r.done <- s
	}
}

// step is guess, fill, forward, masks, sample, sync, collect.
func (r *Runner) step(s *Step) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	s.prepare()
	for i := range s.Binds {
		r.be.SetSlot(s.Binds[i].Slot, s.Binds[i].State)
	}
	r.draft.run(s)
	b := r.be.Batch()
	if err := fill(b, s); err != nil {
		return err
	}
	if err := r.forward(b, s); err != nil {
		return fmt.Errorf("runner: forward: %w", err)
	}
	if len(b.Samples) > 0 {
		if err := r.be.Sample(); err != nil {
			return fmt.Errorf("runner: sample: %w", err)
		}
	}
	if err := r.be.Sync(); err != nil {
		return fmt.Errorf("runner: sync: %w", err)
	}
	if err := r.score(s); err != nil {
		return fmt.Errorf("runner: logits of a prompt: %w", err)
	}
	if err := s.collect(b); err != nil {
		return err
	}
	r.draft.note(s)
	return nil
}

// forward runs the device and, meanwhile, the guides' masks.
func (r *Runner) forward(b *backend.Batch, s *Step) error {
	if b.Guided = r.masks.start(b, s); b.Guided {
		defer r.masks.wait() // also when Forward panics: workers write to b and s
	}
	return r.be.Forward()
}

func (s *Step) prepare() {
	n, samples := len(s.Plan.Items), 0
	s.Results, s.Rows = grown(s.Results, n), grown(s.Rows, n)
	for i := range n {
		s.Results[i] = sched.Result{Seq: s.Plan.Items[i].Seq}
		s.Rows[i] = Row{}
		samples += s.Plan.Items[i].Logits
	}
	s.tokens, s.logprobs = grown(s.tokens, samples)[:0], grown(s.logprobs, samples)[:0]
}

// left is how many of an item's guesses the draft model was to make and has not: its
// last rows, which do not run.
func (s *Step) left(i int) int {
	if len(s.Ahead) == 0 || s.Ahead[i].Guesses == 0 {
		return 0
	}
	return s.Plan.Items[i].Draft - s.made[i]
}

// samples is how many tokens an item samples.
func (s *Step) samples(i int) int { return s.Plan.Items[i].Logits - s.left(i) }

// Left is how many of the plan's rows did not run: guesses that were not made.
func (s *Step) Left() (n int) {
	for i := range s.Results {
		n += s.Results[i].Left
	}
	return n
}

// collect copies what was sampled out of the batch, which the next step reuses.
func (s *Step) collect(b *backend.Batch) error {
	if len(b.Sampled) < len(b.Samples) {
		return fmt.Errorf("runner: %d tokens sampled of %d", len(b.Sampled), len(b.Samples))
	}
	k := 0
	for i := range s.Plan.Items {
		n := s.samples(i)
		s.Results[i].Left = s.left(i)
		s.collectItem(i, b.Sampled[k:k+n])
		k += n
	}
	return nil
}

// collectItem takes an item's tokens up to the first that was not taken, or that
// failed.
func (s *Step) collectItem(i int, sampled []backend.Sampled) {
	row, from := &s.Rows[i], len(s.tokens)
	for k := range sampled {
		got := &sampled[k]
		if row.Err == nil {
			row.Err = got.Err
		}
		if row.Err != nil || got.Token == backend.NotTaken {
			break
		}
		s.tokens = append(s.tokens, got.Token)
		s.logprobs = append(s.logprobs, llm.Logprobs{
			TokenLogprob: llm.TokenLogprob{ID: got.Token, Logprob: got.Logprob},
			Top:          append([]llm.TokenLogprob(nil), got.Top...),
		})
	}
	to := len(s.tokens)
	s.Results[i].Tokens, row.Logprobs = s.tokens[from:to:to], s.logprobs[from:to:to]
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, 2*n)
	}
	return s[:n]
}
