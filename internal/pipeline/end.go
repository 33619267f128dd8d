package pipeline

import (
	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/guide"
	"github.com/reasond/reasond/internal/llm"
)

// finish flushes whatever is held back and ends the choice. A stop string that
// was only complete in what was held back still counts.
func (c *choice) finish(fin llm.Finish, prompt int) {
	if c.match == nil {
		c.flush()
	}
	c.endCall()
	c.flushThought()
	if c.calls.count > 0 && c.match == nil && fin.Reason == llm.FinishStop {
		fin.Reason = llm.FinishToolCalls
	}
	if c.match != nil && fin.Reason != llm.FinishError {
		fin.Reason, fin.StopID, fin.StopText = llm.FinishStop, -1, *c.match
	}
	c.finished = true
	c.pending = append(c.pending, llm.Event{Choice: c.index, Kind: llm.EventFinish, Finish: &fin, ThoughtStop: c.thoughtStop(fin), Usage: &llm.Usage{
		Prompt: prompt, Cached: fin.Cached, Completion: c.completed, Reasoning: c.reasoned,
	}, Logprobs: c.said.close(), ThoughtLogprobs: c.thoughts.close()})
}

// thoughtStop is why the thought ended; "" where there was none.
func (c *choice) thoughtStop(fin llm.Finish) string {
	if c.guide != nil && c.guide.Stop() != "" {
		return string(c.guide.Stop())
	}
	if c.spent {
		return string(guide.Spent)
	}
	if !c.thinking && c.reasoned == 0 {
		return ""
	}
	if s, ok := c.parser.(reasoning.Stager); ok && s.Stage() == reasoning.InReasoning && fin.Reason == llm.FinishLength {
		return string(guide.Length)
	}
	return string(guide.Natural)
}

func (c *choice) flush() {
	if c.vocab != nil {
		if text := c.dec.Close(nil); len(text) > 0 {
			c.feed(string(text))
		}
	}
	c.segments = c.parser.Close(c.segments[:0])
	for _, s := range c.segments {
		c.segment(s)
	}
	c.closeTools()
	if c.match != nil {
		return
	}
	if c.bares {
		c.bare(c.part(c.rawStart + len(c.raw)))
	}
	if c.stops != nil && c.match == nil {
		c.checked(c.stops.Close())
	}
}
