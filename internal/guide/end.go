package guide

import (
	"bytes"
	"math"
	"slices"

	"github.com/reasond/reasond/api/reasoning"
)

// Budget bounds a thought.
type Budget struct {
	Limited bool
	Tokens  int // at most so many tokens of thought, where Limited
	// Grace is how many tokens before that the thought ends with the first token
	// that ends a sentence or a line.
	Grace   int
	Reserve int  // tokens of MaxTokens that are the answer's
	Loops   bool // a thought that repeats itself is ended
}

// Stop says why a thought ended.
type Stop string

const (
	Natural Stop = "natural" // the model closed it
	Spent   Stop = "budget"
	Loop    Stop = "loop"
	Client  Stop = "client" // answer_now
	Length  Stop = "length" // of max_tokens only what is reserved was left
)

// settle notes why the thought ended; of several reasons the first counts.
func (g *Guide) settle(s Stop) { g.stop.CompareAndSwap(nil, &s) }

// roomToOpen: a thought that opens now leaves what is reserved.
func (g *Guide) roomToOpen() bool { return g.reserved() >= len(g.c.Open) }

// force is a marker that has to come now: the rest of one that the model has
// begun where a grammar stood beside it, or the thought's end.
func (g *Guide) force() []int32 {
	var ids []int32
	switch {
	case g.begun == opens:
		ids = g.c.Open[1:]
	case g.stage != reasoning.InReasoning || g.closing || len(g.c.End) == 0:
		return nil
	default:
		if s := g.due(); s != "" {
			g.settle(s)
		} else if g.begun != closes {
			return nil
		}
		g.closing = true
		ids = g.rest()
	}
	g.begun, g.marker = none, len(ids)
	return ids
}

// rest is what is left of the thought's end, of which the model may have written
// a part.
func (g *Guide) rest() []int32 {
	for n := min(len(g.c.End)-1, len(g.recent)); n > 0; n-- {
		if slices.Equal(g.recent[len(g.recent)-n:], g.c.End[:n]) {
			return g.c.End[n:]
		}
	}
	return g.c.End
}

// due is why the thought has to end now; "" where it may go on.
func (g *Guide) due() Stop {
	b := g.c.Budget
	switch {
	case g.c.Whole && within(g.tail):
	case g.now.Load():
		return Client
	case b.Limited && g.thought >= b.Tokens:
		return Spent
	case b.Limited && g.thought >= b.Tokens-b.Grace && endsSentence(g.tail):
		return Spent
	case g.reserved() <= 0:
		return Length
	case b.Loops && g.loops.found:
		return Loop
	}
	return ""
}

// reserved is how many tokens the thought may still have for what is reserved.
func (g *Guide) reserved() int {
	if g.c.Budget.Reserve == 0 || g.c.MaxTokens == 0 {
		return math.MaxInt
	}
	return g.c.MaxTokens - g.total - len(g.c.End) - g.c.Budget.Reserve
}

// room is how many tokens the thought may still have.
func (g *Guide) room() int {
	if !g.c.Budget.Limited {
		return g.reserved()
	}
	return min(g.reserved(), g.c.Budget.Tokens-g.thought)
}

// endsSentence reports whether text ends a sentence or a line. A point right
// behind a digit may be a number's, until something else follows.
func endsSentence(text []byte) bool {
	if bytes.HasSuffix(text, []byte("\n")) {
		return true
	}
	if n := len(text); n > 1 && text[n-1] == '.' && text[n-2] >= '0' && text[n-2] <= '9' {
		return false
	}
	trimmed := bytes.TrimRight(text, " \"')”’")
	for _, end := range []string{".", "!", "?", "。", "！", "？", ";", "；"} {
		if bytes.HasSuffix(trimmed, []byte(end)) {
			return true
		}
	}
	return false
}
