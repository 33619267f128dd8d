package pipeline

import (
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// clock notes in the choice's timeline what has come by now. A thought counts
// whether it is shown or not, an answer with its first event: content may be held
// back while a stop string or a call could begin in it.
func (c *choice) clock(now time.Time) {
	if c.reasoned > c.timed {
		if c.times.Thought.IsZero() {
			c.times.Thought = now
		}
		c.times.ThoughtEnd, c.timed = now, c.reasoned
	}
	if c.answers && c.times.Answer.IsZero() && c.shows() {
		c.times.Answer = now
	}
}

// shows says that there is content or a call to show.
func (c *choice) shows() bool {
	for i := c.first; i < len(c.pending); i++ {
		if k := c.pending[i].Kind; k == llm.EventContent || k == llm.EventToolCall {
			return true
		}
	}
	return false
}
