package guide

import (
	"unicode/utf8"

	"github.com/reasond/reasond/api/reasoning"
)

// Mask implements llm.Guide. Where a matcher fails nothing may come, which ends
// the choice with an error.
func (g *Guide) Mask(dst []uint32) bool {
	masked, err := g.mask(dst)
	if err != nil {
		clear(dst)
		return true
	}
	return masked
}

func (g *Guide) mask(dst []uint32) (masked bool, err error) {
	if g.c.Whole {
		return true, g.maskWhole(dst)
	}
	switch g.stage {
	case reasoning.InReasoning:
		return g.maskThought(dst)
	case reasoning.InAnswer:
		return g.maskAnswer(dst)
	case reasoning.Undecided:
		return g.maskUndecided(dst)
	}
	return false, nil
}

// maskWhole keeps to the grammar of all that the choice writes, and a thought to
// its own within it.
func (g *Guide) maskWhole(dst []uint32) error {
	if g.unheld != nil {
		return g.unheld
	}
	if err := g.c.Answer.Mask(dst); err != nil || g.stage != reasoning.InReasoning {
		return err
	}
	if g.room() <= utf8.UTFMax { // the thought must not end within a character: its grammar is of whole ones
		g.masks.partial.outOf(dst)
	}
	if g.c.Thought == nil {
		return nil
	}
	if len(g.own) != len(dst) {
		g.own = make([]uint32, len(dst))
	}
	if err := g.maskOwn(g.own); err != nil {
		return err
	}
	for i := range dst {
		dst[i] &= g.own[i]
	}
	return nil
}

// maskOwn is what a thought's grammar allows, and its end where that may come.
func (g *Guide) maskOwn(dst []uint32) error {
	_, _, accepting, err := g.c.Thought.Take(nil)
	if err == nil {
		err = g.c.Thought.Mask(dst)
	}
	if err != nil {
		return err
	}
	if accepting && len(g.c.End) > 0 {
		allow(dst, g.c.End[0])
	}
	g.forbidEOS(dst)
	return nil
}

// waits: the choice must not end yet.
func (g *Guide) waits() bool { return g.c.Answer != nil || g.c.Budget.Reserve > 0 && !g.said }

// all allows every token but, where the answer is still to come, those that end
// a text.
func (g *Guide) all(dst []uint32) (masked bool) {
	if !g.waits() {
		return false
	}
	fill(dst, g.c.Vocab.Size())
	g.forbidEOS(dst)
	if g.stage == reasoning.InReasoning || g.masks.framed || g.said {
		return true
	}
	if g.c.MaxTokens-g.total == 1 { // the last token, and there is no answer yet
		g.masks.silent.outOf(dst)
	}
	if len(g.c.Open) > 0 && !g.roomToOpen() {
		forbid(dst, g.c.Open[0])
	}
	return true
}

func (g *Guide) forbidEOS(dst []uint32) {
	for _, id := range g.c.EOS {
		forbid(dst, id)
	}
}

func (g *Guide) maskAnswer(dst []uint32) (masked bool, err error) {
	if g.c.Answer == nil {
		return g.all(dst), nil
	}
	err = g.c.Answer.Mask(dst)
	if g.outside() {
		g.masks.blank.into(dst)
	}
	return true, err
}

// maskThought keeps a thought to its grammar, and where the answer has one keeps
// the thought's end clear of it.
func (g *Guide) maskThought(dst []uint32) (masked bool, err error) {
	if g.c.Thought == nil {
		if !g.all(dst) {
			return false, nil
		}
	} else if err := g.maskOwn(dst); err != nil {
		return true, err
	}
	for _, id := range g.masks.straddling {
		if g.straddles(g.c.Vocab.Bytes(id)) {
			forbid(dst, id)
		}
	}
	return true, nil
}

// straddles: a token would end the thought and begin the answer at once.
func (g *Guide) straddles(text []byte) bool {
	for _, marker := range g.c.Closes {
		for i := range text {
			if behind := text[i+1:]; len(behind) > 0 && endWith(g.tail, text[:i+1], marker) && !(blank(behind) && (g.spaced || g.c.Answer == nil)) {
				return true
			}
		}
	}
	return false
}

// endWith reports whether a and b, joined, end with marker.
func endWith(a, b []byte, marker string) bool {
	if n := len(marker) - len(b); n > 0 {
		return len(a) >= n && string(a[len(a)-n:]) == marker[:n] && string(b) == marker[n:]
	}
	return string(b[len(b)-len(marker):]) == marker
}

// maskUndecided: the answer begins as its grammar says, or a thought opens. In a
// frame's header anything may stand.
func (g *Guide) maskUndecided(dst []uint32) (masked bool, err error) {
	if g.c.Answer == nil || g.masks.framed {
		return g.all(dst), nil
	}
	err = g.c.Answer.Mask(dst)
	if g.mayOpen() {
		allow(dst, g.c.Open[0])
	}
	if g.outside() {
		g.masks.blank.into(dst)
	}
	return true, err
}
