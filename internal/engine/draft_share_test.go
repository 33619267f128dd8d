package engine

import (
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/engine/draft"
)

// sharing is a draft model whose passes and whose model's steps take so long by rows.
func sharing(model, pass func(rows int) float64) *draftModel {
	m := &draftModel{most: 8, rows: 512, slots: 64, model: new(costs), share: firstShare, trust: draft.FirstTrust}
	for rows := 1; rows <= maxCostRows; rows++ {
		m.model.observe(rows, model(rows))
		m.costs.observe(rows, pass(rows))
	}
	return m
}

// Law: the draft model guesses for those, and by as many passes, that give a step the
// most tokens per second, or nearly: compared with every way to share up to three
// passes out.
func TestPassesAreSharedOutForTheMostTokens(t *testing.T) {
	flat := func(s float64) func(int) float64 {
		return func(rows int) float64 { return s * (1 + 0.02*float64(rows)) }
	}
	knee := func(rows int) float64 { return max(1, float64(rows)/6) }
	for name, c := range map[string]struct {
		model, pass func(int) float64
		trust       []float64
		lag         int
		want        []int // guesses, by bid; nil: only compared
	}{
		"sure, a tenth of the time": {flat(1), flat(0.1), []float64{0.98}, 0, []int{8}},
		"likely, a third":           {flat(1), flat(0.33), []float64{0.8}, 0, []int{3}},
		"unlikely":                  {flat(1), flat(0.33), []float64{0.2}, 0, []int{0}},
		"as slow as the model":      {flat(1), flat(1), []float64{0.99}, 0, []int{0}},
		"one is trusted":            {knee, flat(0.1), []float64{0.1, 0.95}, 0, nil},
		"together a pass pays":      {flat(1), flat(0.5), []float64{0.8, 0.8, 0.8, 0.8}, 0, nil},
		"a crowd at the knee":       {knee, flat(0.3), slices.Repeat([]float64{0.7}, 8), 0, slices.Repeat([]int{0}, 8)},
		"far behind":                {flat(1), func(rows int) float64 { return 0.1 * float64(rows) }, []float64{0.8}, 60, []int{6}}, // fewer where it is not behind
	} {
		m := sharing(c.model, c.pass)
		for i, trust := range c.trust {
			m.bids = append(m.bids, bid{item: i, trust: trust, most: 8, lag: c.lag})
		}
		n := len(c.trust)
		s := step{rows: n, left: 100}
		plain := float64(n) / m.model.of(n)
		got := m.best(s, float64(n))
		if most := m.exhaustive(s, float64(n), 3); got < most*0.97 {
			t.Errorf("%s: %.3f tokens a second, %.3f can be had", name, got, most)
		}
		if c.want == nil {
			continue
		}
		guesses := make([]int, n)
		if got > worthwhile*plain {
			for _, b := range m.bids {
				guesses[b.item] = b.best
			}
		}
		if !slices.Equal(guesses, c.want) {
			t.Errorf("%s: %v guesses, want %v", name, guesses, c.want)
		}
	}
}

// exhaustive is the best rate of all ways to give each bid up to most guesses, but none.
func (m *draftModel) exhaustive(s step, tokens float64, most int) (best float64) {
	counts := make([]int, len(m.bids))
	var try func(i int)
	try = func(i int) {
		if i < len(counts) && i < 4 {
			for n := range most + 1 {
				counts[i] = n
				try(i + 1)
			}
			return
		}
		given, rows, seconds := tokens, s.rows, 0.0
		for pass := range most {
			some, lag := 0, 0
			for k, n := range counts {
				if n <= pass {
					continue
				}
				some++
				chance := 1.0
				for range pass + 1 {
					chance *= m.bids[k].trust
				}
				given += chance
				if pass == 0 {
					lag += m.bids[k].lag
				}
			}
			if some > 0 {
				rows += some
				seconds += m.cost(some) + (m.cost(some+lag)-m.cost(some))/payback
			}
		}
		if rows > s.rows {
			best = max(best, given/(m.model.of(rows)+seconds))
		}
	}
	try(0)
	return best
}

// What a pass takes is taken for a share of the model's time until it was measured,
// and once more where only larger ones were.
func TestPassesAreTriedBeforeTheyAreMeasured(t *testing.T) {
	m := &draftModel{model: new(costs), share: 0.2}
	m.model.observe(1, 2)
	if got := m.cost(1); got != 0.4 {
		t.Errorf("not measured: %g", got)
	}
	m.costs.observe(20, 9)
	if got := m.cost(1); got != 0.4 || m.cost(20) != 9 {
		t.Errorf("twenty rows took 9: one takes %g, twenty %g", got, m.cost(20))
	}
	m.costs.observe(1, 1)
	if got := m.cost(1); got != 1 {
		t.Errorf("measured: %g", got)
	}
	for range stale {
		m.costs.steps++
	}
	if got := m.cost(1); got != 0.4 {
		t.Errorf("long ago: %g", got)
	}
}

// A step takes no longer than one with more rows: where it seems so it was disturbed.
func TestMoreRowsAreNeverFaster(t *testing.T) {
	var c costs
	c.observe(9, 2)
	c.observe(8, 5)
	if c.of(8) != 2 || c.of(9) != 2 {
		t.Errorf("eight rows %g, nine %g", c.of(8), c.of(9))
	}
	for range 100 {
		c.observe(9, 3)
	}
	if c.of(8) < 2.9 || c.of(8) > c.of(9) {
		t.Errorf("eight rows %g, nine %g", c.of(8), c.of(9))
	}
}
