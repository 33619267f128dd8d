package pipeline

import (
	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/llm"
)

// endLogprob is a token's log-probability and where in the raw text it ends.
type endLogprob struct {
	end int
	llm.TextLogprob
}

func at(all []llm.Logprobs, i int) *llm.Logprobs {
	if i >= len(all) {
		return nil
	}
	return &all[i]
}

// textLogprob names tokens by their bytes.
func (c *choice) textLogprob(p llm.Logprobs) llm.TextLogprob {
	named := c.named(p.TokenLogprob)
	for _, top := range p.Top {
		named.Top = append(named.Top, c.named(top))
	}
	return named
}

func (c *choice) named(p llm.TokenLogprob) llm.TextLogprob {
	if c.vocab != nil && p.ID >= 0 {
		return llm.TextLogprob{Bytes: c.vocab.Bytes(p.ID), Logprob: p.Logprob}
	}
	return llm.TextLogprob{Bytes: []byte(p.Text), Logprob: p.Logprob}
}

// upstreamLogprobs places the tokens of raw text one behind the other.
func (c *choice) upstreamLogprobs(d llm.Delta) {
	end := c.rawStart + len(c.raw)
	last := end + len(d.Text)
	for _, p := range d.Logprobs {
		named := c.textLogprob(p)
		end = min(end+len(named.Bytes), last)
		c.probs = append(c.probs, endLogprob{end, named})
	}
}

// show takes the tokens up to the segment's end; those that the content shows
// wait for the event with their text. Like count, it gives a token to the
// segment that holds its last byte.
func (c *choice) show(s reasoning.Segment) {
	n := 0
	for _, p := range c.probs {
		if p.end > s.End {
			break
		}
		n++
		if c.raws() || s.Kind == reasoning.Content && p.end > s.Start {
			c.shown = append(c.shown, p.TextLogprob)
		}
	}
	c.probs = append(c.probs[:0], c.probs[n:]...)
}
