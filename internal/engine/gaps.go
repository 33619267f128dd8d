package engine

import "time"

// gaps are the times from token to token in the answers under way, all of them
// together: what their readers have come to expect.
type gaps struct {
	now  mark
	live int  // answers that have a first token and no end
	sum  mark // of what each of them has seen
}

// mark is a moment on the clocks that run while steps do: one while prompts are
// computed beside tokens, one while they are not.
type mark struct{ beside, alone moment }

type moment struct {
	clock time.Duration
	steps int
}

func (m *moment) add(n int, o moment) {
	m.clock += time.Duration(n) * o.clock
	m.steps += n * o.steps
}

// step lets a clock run: each answer waited so long for its next token.
func (g *gaps) step(took time.Duration, prompts bool) {
	now, sum := &g.now.alone, &g.sum.alone
	if prompts {
		now, sum = &g.now.beside, &g.sum.beside
	}
	now.add(1, moment{took, 1})
	sum.add(g.live, moment{took, 1})
}

// join counts an answer from its first token on; leave, given what join returned,
// takes it out with all that it has seen.
func (g *gaps) join() mark {
	g.live++
	return g.now
}

func (g *gaps) leave(m mark) {
	g.live--
	for _, of := range []struct {
		sum       *moment
		since, at moment
	}{{&g.sum.beside, m.beside, g.now.beside}, {&g.sum.alone, m.alone, g.now.alone}} {
		of.sum.add(1, of.since)
		of.sum.add(-1, of.at)
	}
}

// usual is about the median, in seconds: the mean of those gaps, beside prompts or
// not, that are the greater part. 0: none was seen.
func (g *gaps) usual() float64 {
	m := g.sum.alone
	if g.sum.beside.steps > m.steps {
		m = g.sum.beside
	}
	return m.clock.Seconds() / float64(max(m.steps, 1))
}
