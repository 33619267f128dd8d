package engine

import (
	"math"

	"github.com/reasond/reasond/internal/engine/runner"
)

const (
	maxCostRows  = 64   // rows of a step; beyond, one more is taken to cost its share
	stale        = 1024 // steps after which a time is measured again
	outlier      = 3    // a step that takes this many times what was expected was disturbed
	doubt        = 0.05 // weight of a step that took longer: most such were disturbed
	firstRowCost = 0.12 // of a row that was never tried, as a share of a step of one row
)

// costs are the times that steps without prompts take, by their rows.
type costs struct {
	steps   uint64
	seconds [maxCostRows + 1]float64
	seen    [maxCostRows + 1]uint64 // the step of the last measurement; 0: none
	last    uint64                  // the latest of them

	// even is seconds without the disturbances that show: a step takes no longer than
	// one with more rows. Of rows that are known.
	even [maxCostRows + 1]float64
}

// learn takes the time of a good step in.
func (e *Engine) learn(s *runner.Step) {
	decode, prefill := rows(s.Plan)
	if prefill == 0 {
		e.costs.observe(decode-s.Left(), (s.Took - s.DraftTook).Seconds())
	}
	e.pace.observe(s, &e.costs)
	e.gaps.step(s.Took, prefill > 0)
}

// observe takes one step's time in.
func (c *costs) observe(rows int, seconds float64) {
	c.steps++
	if rows < 1 || rows > maxCostRows {
		return
	}
	if c.last > 0 { // something is known
		seconds = min(seconds, outlier*c.of(rows))
	}
	if old := c.seconds[rows]; c.known(rows) && seconds > old {
		seconds = old + doubt*(seconds-old)
	} else if c.known(rows) {
		seconds = blend(old, seconds)
	}
	c.seconds[rows], c.seen[rows], c.last = seconds, c.steps, c.steps
	c.straighten()
}

func (c *costs) straighten() {
	least := math.Inf(1)
	for rows := maxCostRows; rows > 0; rows-- {
		if c.known(rows) {
			least = min(least, c.seconds[rows])
			c.even[rows] = least
		}
	}
}

func (c *costs) known(rows int) bool { return c.seen[rows] > 0 && c.steps-c.seen[rows] < stale }

// least is what a step of so many rows takes at least, by what was ever measured.
func (c *costs) least(rows int) float64 {
	for rows = min(rows, maxCostRows); rows > 0; rows-- {
		if c.seen[rows] > 0 {
			return c.seconds[rows]
		}
	}
	return 0
}

// floor is least or, where only more rows were measured, their share of that.
func (c *costs) floor(rows int) float64 {
	if least := c.least(rows); least > 0 || rows < 1 {
		return least
	}
	for n := rows + 1; n <= maxCostRows; n++ {
		if c.seen[n] > 0 {
			return c.seconds[n] * float64(rows) / float64(n)
		}
	}
	return 0
}

// alone is expected, but for more rows than were measured of late nothing is guessed:
// they take at least what fewer did.
func (c *costs) alone(rows int) float64 {
	for n := min(rows, maxCostRows); n <= maxCostRows; n++ {
		if c.known(n) {
			return c.expected(rows)
		}
	}
	return c.floor(rows)
}

// expected is of, or least where nothing was measured of late; 0: nothing ever was.
func (c *costs) expected(rows int) float64 {
	if c.last == 0 || c.steps-c.last >= stale {
		return c.least(rows)
	}
	return c.of(rows)
}

// of is what a step of so many rows takes. What was not measured, or long ago, is
// taken to lie between its neighbours, or little over the nearest one with fewer
// rows: it will be tried then, and measured. The unit is one row's time where
// nothing is known.
func (c *costs) of(rows int) float64 {
	if rows > maxCostRows {
		return c.of(maxCostRows) * float64(rows) / maxCostRows
	}
	if c.known(rows) {
		return c.even[rows]
	}
	low, high := rows, rows
	for low > 0 && !c.known(low) {
		low--
	}
	for high <= maxCostRows && !c.known(high) {
		high++
	}
	switch {
	case low == 0 && high > maxCostRows:
		return 1 + firstRowCost*float64(rows-1)
	case low == 0:
		return c.even[high]
	case high > maxCostRows:
		return c.even[low] * (1 + firstRowCost*float64(rows-low)/float64(low))
	}
	part := float64(rows-low) / float64(high-low)
	return c.even[low] + part*(c.even[high]-c.even[low])
}
