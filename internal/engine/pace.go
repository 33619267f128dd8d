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
	unevenness   = 2    // prompt rows make a step at most so many times longer than tokens are used to
	calm         = 0.25 // share of MaxPrefillStall that they may take in step after step
	spread       = 64   // steps that what waits is spread over
	smoothing    = 0.2  // weight of the newest measurement
)

// pace turns measured step times into a number of prompt rows, so that prompts
// do not hold up the sequences that decode.
type pace struct {
	limit time.Duration // most that prompt rows may add to a step
	row   float64       // seconds that one prompt row adds, at most
	mean  float64       // the same in the mean
}

// beside is what the next step's prompt rows run beside.
type beside struct {
	alone   float64 // seconds that its decoding rows take; 0: not known
	usual   float64 // seconds from token to token in the answers under way; 0: not known
	backlog int     // rows of prompts that wait
}

// budget is the next step's.
func (e *Engine) budget() sched.Budget {
	rows := 0
	if decoding := e.sched.Decoding(); decoding > 0 {
		rows = e.pace.among(beside{e.costs.alone(decoding), e.gaps.usual(), e.sched.Backlog()})
	} else {
		rows = e.pace.idle()
	}
	return sched.Budget{Tokens: e.cfg.StepRows, PrefillTokens: min(e.cfg.PrefillRows, rows)}
}

// idle is the most prompt rows of a step that does not decode: many, but not without
// bound, for new and cancelled requests wait for a step.
func (p *pace) idle() int {
	if p.row <= 0 {
		return firstPrefill
	}
	return max(minPrefill, int(min(idleStalls*aim*p.limit.Seconds()/p.row, 1<<20)))
}

// among is the most prompt rows of a step beside sequences that decode. They add
//
//  1. never more than limit;
//  2. twice what the step's tokens take: where prompts are rare, no gap between
//     tokens is then four times as long as the others;
//  3. more where prompts wait in a crowd and most gaps are beside them: what makes a
//     gap three times as long as those that the answers under way are used to, so
//     that it grows with all of them; but no more than spreads the crowd over as many
//     steps as a short answer has tokens, or a few gaps would stand out, and no more
//     than calm: of a step of 30 ms the tokens' own part is small, larger ones win
//     hardly anything (3 % from 96 to 128 rows where 32 to 96 win a tenth), and a
//     reader would see them.
func (p *pace) among(b beside) int {
	if p.row <= 0 {
		return minPrefill
	}
	rows := aim * p.limit.Seconds() / p.row // 1
	few := unevenness * b.alone / p.mean    // 2
	crowd := min((1+unevenness)*b.usual-b.alone, calm*p.limit.Seconds()) / p.mean
	rows = min(rows, max(few, min(crowd, float64(b.backlog)/spread))) // 3
	return max(minPrefill, int(rows))
}

// observe learns what prompt rows cost from one step; decoding alone costs what
// costs say. A row is never taken to be cheaper at once: the deeper in its prompt,
// the dearer it is.
func (p *pace) observe(s *runner.Step, c *costs) {
	decode, prefill := rows(s.Plan)
	if prefill < minPrefill || p.row > 0 && decode > 0 && c.last == 0 { // too few to tell, or all that is known is the sum
		return
	}
	row := (s.Took.Seconds() - c.floor(decode)) / float64(prefill)
	switch {
	case p.row == 0:
		p.row = max(row, 0)
	case row > p.row:
		p.row = min(row, outlier*p.row)
	case row > 0:
		p.row = blend(p.row, row)
	}
	p.mean = blend(p.mean, min(max(row, 0), p.row))
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
