package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// Batch is several runs as one. Choices are numbered through: all of the first
// run, then all of the second. Next is called from one goroutine; events of one
// choice keep their order, those of different runs have none.
type Batch struct {
	runs   []*Run
	prompt []int       // tokens of each run's prompt
	usage  []llm.Usage // of each choice, as of the events handed out
	times  []llm.Timeline
	steps  chan step
	came   time.Time // of the events handed out last
	cancel context.CancelFunc
	wg     sync.WaitGroup
	left   int // runs that have not ended
}

// step is what one call of a run's Next has shown, or why the run ended.
type step struct {
	run    int
	events []llm.Event
	usage  []llm.Usage // beside each event, of its choice
	times  []llm.Timeline
	came   time.Time
	err    error
}

// Join makes runs one; they belong to the batch from then on. Each is followed
// by a goroutine of its own, which waits for Next and ends at Close at the
// latest.
func Join(runs []*Run) *Batch {
	ctx, cancel := context.WithCancel(context.Background())
	b := &Batch{runs: runs, prompt: make([]int, len(runs)), steps: make(chan step), cancel: cancel, left: len(runs)}
	first := 0
	for i, r := range runs {
		b.prompt[i] = r.prompt
		from := first
		b.wg.Go(func() { b.follow(ctx, i, from) })
		first += len(r.choices)
	}
	b.usage, b.times = make([]llm.Usage, first), make([]llm.Timeline, first)
	return b
}

// follow hands on what a run shows, its choices numbered from first, until it
// ends.
func (b *Batch) follow(ctx context.Context, run, first int) {
	for {
		events, err := b.runs[run].Next(ctx)
		s := step{run: run, events: slices.Clone(events), came: b.runs[run].Came(), err: err}
		for i := range s.events {
			s.usage = append(s.usage, b.runs[run].Usage(s.events[i].Choice))
			s.times = append(s.times, b.runs[run].Timeline(s.events[i].Choice))
			s.events[i].Choice += first
		}
		select {
		case b.steps <- s:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// Next is Run.Next of all runs together.
func (b *Batch) Next(ctx context.Context) ([]llm.Event, error) {
	for b.left > 0 {
		select {
		case s := <-b.steps:
			switch {
			case errors.Is(s.err, io.EOF):
				b.left--
			case s.err != nil:
				return nil, s.err
			default:
				b.note(s)
				return s.events, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, io.EOF
}

func (b *Batch) note(s step) {
	b.came = s.came
	for i, e := range s.events {
		b.usage[e.Choice], b.times[e.Choice] = s.usage[i], s.times[i]
		b.prompt[s.run] = s.usage[i].Prompt
	}
}

// Came is Run.Came of what Next returned last.
func (b *Batch) Came() time.Time { return b.came }

// PromptTokens is the length of all prompts; where the engine counts it, less
// until the end.
func (b *Batch) PromptTokens() int {
	sum := 0
	for _, n := range b.prompt {
		sum += n
	}
	return sum
}

// Usage counts a choice's tokens as of the last event of it that Next returned.
func (b *Batch) Usage(choice int) llm.Usage { return b.usage[choice] }

// Timeline is a choice's, likewise.
func (b *Batch) Timeline(choice int) llm.Timeline { return b.times[choice] }

// Close abandons what still runs and waits for the goroutines. It may be called
// more than once.
func (b *Batch) Close() {
	b.cancel()
	b.wg.Wait()
	for _, r := range b.runs {
		r.Close()
	}
}
