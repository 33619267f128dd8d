package engine

import (
	"time"

	"github.com/reasond/reasond/internal/engine/runner"
	"github.com/reasond/reasond/internal/engine/sched"
)

const (
	minPrefill   = 32   // rows: fewer would waste the weights' trip through the cache
	firstPrefill = 256  // rows of a step that does not decode, before anything is measured
	idleStalls   = 10   // a step that does not decode may take this many MaxPrefillStalls
	aim          = 0.85 // share of MaxPrefillStall that is planned with: steps vary
	unevenness   = 2    // prompt rows add at most so many times what a step's decoding takes
	smoothing    = 0.2  // weight of the newest measurement
)

// pace turns measured step times into a number of prompt rows, so that prompts
// do not hold up the sequences that decode.
type pace struct {
	limit time.Duration // most that prompt rows may add to a step
	row   float64       // seconds that one prompt row adds
}

// budget is the next step's.
func (e *Engine) budget() sched.Budget {
	decoding := e.sched.Decoding()
	rows := e.pace.prefill(decoding > 0, e.costs.expected(decoding))
	return sched.Budget{Tokens: e.cfg.StepRows, PrefillTokens: min(e.cfg.PrefillRows, rows)}
}

// prefill is the most prompt rows of a step: beside sequences that decode, which
// alone would take so many seconds (0: not known), few enough that their tokens come
// evenly. Without them there are more, but not without bound: new and cancelled
// requests wait for a step.
func (p *pace) prefill(decoding bool, alone float64) int {
	limit, first := aim*p.limit.Seconds(), minPrefill
	switch {
	case !decoding:
		limit, first = limit*idleStalls, firstPrefill
	case alone > 0:
		limit = min(limit, unevenness*alone)
	}
	if p.row <= 0 {
		return first
	}
	return max(minPrefill, int(min(limit/p.row, 1<<20)))
}

// observe learns what prompt rows cost from one step; decoding alone costs what
// costs say. A row is never taken to be cheaper at once: the deeper in its prompt,
// the dearer it is.
func (p *pace) observe(s *runner.Step, c *costs) {
	decode, prefill := rows(s.Plan)
	if prefill < minPrefill { // too few to tell
		return
	}
	row := (s.Took.Seconds() - c.least(decode)) / float64(prefill)
	switch {
	case p.row == 0:
		p.row = max(row, 0)
	case row > p.row:
		p.row = min(row, outlier*p.row)
	case row > 0:
		p.row = blend(p.row, row)
	}
}

// rows of a step. Items of one row, and guesses behind it, count as decoding: so
// does the last row of a prompt, and it costs the same.
func rows(p *sched.Plan) (decode, prefill int) {
	for i := range p.Items {
		if it := &p.Items[i]; it.Count-it.Draft == 1 {
			decode += it.Count
		} else {
			prefill += it.Count
		}
	}
	return decode, prefill
}

// blend is an exponentially weighted mean that starts with its first value.
func blend(old, now float64) float64 {
	if old == 0 {
		return now
	}
	return old + smoothing*(now-old)
}
