package server

import (
	"context"
	"errors"
	"time"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/metrics"
	"github.com/reasond/reasond/internal/pipeline"
)

// source is what events come from: a pipeline.Run or a pipeline.Batch.
type source interface {
	Next(ctx context.Context) ([]llm.Event, error)
	Came() time.Time // when what Next returned last came
	PromptTokens() int
	Usage(choice int) llm.Usage
	Timeline(choice int) llm.Timeline
	Close()
}

// feed is a run's events with a clock: a stream that is silent needs a sign of
// life, and an engine that is stuck must not take its requests along.
type feed struct {
	run      source
	observed *metrics.Generation // is told of every event
	tick     context.Context     // ends with the interval, or with ctx; nil: to be made
	last     time.Time           // when what next returned last came, or it returned nothing

	ctx       context.Context // ends when the client goes or the drain limit is reached
	stop      context.CancelFunc
	model     *pipeline.Model
	keepAlive time.Duration // the longest silence
}

// stallCheck is how often a waiting request asks whether its engine is stuck.
const stallCheck = 5 * time.Second

// next returns the next events, or none at all before keepAlive has passed
// without any. io.EOF ends the run; an error that ended a choice is left to
// finishError.
func (f *feed) next() ([]llm.Event, error) {
	interval := min(f.keepAlive/2, stallCheck)
	for {
		if f.tick == nil {
			f.tick, f.stop = context.WithTimeout(f.ctx, interval)
		}
		events, err := f.run.Next(f.tick)
		switch {
		case err == nil:
			f.last = f.run.Came()
			f.observed.Events(events, f.last)
			return events, nil
		case f.ctx.Err() != nil:
			return nil, context.Cause(f.ctx)
		case !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		}
		f.close()
		if stalled(f.model) {
			return nil, errStalled
		}
		if time.Since(f.last)+interval >= f.keepAlive {
			f.last = time.Now()
			return nil, nil
		}
	}
}

func (f *feed) close() {
	if f.stop != nil {
		f.stop()
	}
	f.tick, f.stop = nil, nil
}

// finishError is the error of a choice that did not end by itself; nil if it
// did.
func (f *feed) finishError(fin *llm.Finish) error {
	switch {
	case fin.Reason != llm.FinishAbort && fin.Reason != llm.FinishError:
		return nil
	case f.ctx.Err() != nil:
		return context.Cause(f.ctx)
	case fin.Err != nil:
		return fin.Err
	}
	return llm.Errorf(llm.Internal, "", "a choice ended with %s and no reason", fin.Reason)
}
