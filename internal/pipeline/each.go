package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/reasond/reasond/internal/llm"
)

// Each hands every event of a run to show, in order, until show fails or the
// run ends. A choice that did not end by itself is an error; its event is not
// shown.
func (r *Run) Each(ctx context.Context, show func(llm.Event) error) error {
	for {
		events, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := unfinished(ctx, e); err != nil {
				return err
			}
			if err := show(e); err != nil {
				return err
			}
		}
	}
}

// unfinished is why a choice ended early, nil where it did not.
func unfinished(ctx context.Context, e llm.Event) error {
	switch {
	case e.Kind != llm.EventFinish || e.Finish.Reason != llm.FinishAbort && e.Finish.Reason != llm.FinishError:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case e.Finish.Err != nil:
		return e.Finish.Err
	}
	return fmt.Errorf("the engine ended a choice with %s", e.Finish.Reason)
}
