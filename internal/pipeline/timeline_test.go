package pipeline_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// A thought begins with its first token and an answer when it is shown: text that
// could begin a stop string is not there for anybody yet.
func TestATimelineIsWhatIsSeen(t *testing.T) {
	probe := newModel(t, "qwen3", scripted.Config{})
	ids := answer(t, probe, "<think>\nLet me see.\n</think>\n\nIt is so, and more.")
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, "qwen3", scripted.Config{Script: scripted.IDs(ids), StepTime: time.Second})
		for _, hidden := range []bool{false, true} {
			req := request()
			req.Stop, req.DropReasoning = []string{"\n\nIt is so, but"}, hidden
			run, err := m.Start(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			var seen llm.Timeline
			for {
				events, err := run.Next(t.Context())
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					switch {
					case e.Kind == llm.EventReasoning:
						if seen.ThoughtEnd = time.Now(); seen.Thought.IsZero() {
							seen.Thought = time.Now()
						}
					case e.Kind == llm.EventContent && seen.Answer.IsZero():
						seen.Answer = time.Now()
					}
				}
			}
			got := run.Timeline(0)
			if hidden {
				if got.Thought.IsZero() || !got.Thought.Before(got.ThoughtEnd) || !got.ThoughtEnd.Before(got.Answer) {
					t.Errorf("a hidden thought has the times %+v", got)
				}
				seen.Thought, seen.ThoughtEnd = got.Thought, got.ThoughtEnd
			}
			if got != seen {
				t.Errorf("the timeline is %+v, and seen was %+v", got, seen)
			}
			run.Close()
		}
	})
}
