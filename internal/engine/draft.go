package engine

import (
	"slices"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/draft"
	"github.com/reasond/reasond/internal/engine/sched"
)

// MaxDraftTokens bounds Config.DraftTokens.
const MaxDraftTokens = 64

// worthwhile is how much faster a step must be with guesses than without, in
// tokens per second: measurements err, and with guesses no step overlaps another.
const worthwhile = 1.05

// drafts decides what is guessed in a step: as much as raises the tokens that the
// step is expected to give per second, for all its sequences together. It is the
// loop's, and implements sched.Drafter.
type drafts struct {
	most     int // guesses of a choice; 0: none are made
	eos      []int32
	source   func() draft.Source
	reckless bool

	costs    *costs
	expected float64 // tokens of the step being planned; 0: nothing was asked yet
	guesses  []draft.Guess
	ids      []int32
}

func newDrafts(cfg *Config, info backend.Info, c *costs) drafts {
	d := drafts{costs: c, most: cfg.DraftTokens, eos: cfg.EOS, source: cfg.tweak.guesses, reckless: cfg.tweak.reckless}
	if !info.Drafts {
		d.most = 0
	}
	return d
}

// begin is called before each plan.
func (d *drafts) begin() { d.expected = 0 }

// Draft implements sched.Drafter.
func (d *drafts) Draft(q *sched.Seq, unknown, rows, most int) []int32 {
	if d.expected == 0 {
		d.expected = float64(rows)
	}
	c := q.Owner.(*choice)
	if c.ended || c.guide != nil { // each row would want its own mask
		return nil
	}
	if c.source == nil {
		c.source = d.source()
	}
	c.source.Learn(q.Tokens())
	d.guesses = d.untilEnd(c, c.source.Guess(d.guesses[:0], unknown+min(most, d.most)))
	n := len(d.guesses) - unknown
	if n > 0 && !d.reckless {
		n = d.paying(d.guesses, unknown, rows)
	}
	d.ids = d.ids[:0]
	for k := range max(n, 0) {
		d.ids = append(d.ids, d.guesses[unknown+k].Token)
	}
	return d.ids
}

// untilEnd cuts guesses off where the choice would end: nothing follows.
func (d *drafts) untilEnd(c *choice, guesses []draft.Guess) []draft.Guess {
	for i, g := range guesses {
		if !c.params.IgnoreEOS && slices.Contains(d.eos, g.Token) || slices.Contains(c.params.StopIDs, g.Token) {
			return guesses[:i]
		}
	}
	return guesses
}

// paying is how many guesses behind the unknown ones make a step of this many rows
// fastest, and notes what it is then expected to give.
func (d *drafts) paying(guesses []draft.Guess, unknown, rows int) (n int) {
	all, tokens := 1.0, d.expected // the odds that all so far are right
	best := worthwhile * tokens / d.costs.of(rows)
	for k, g := range guesses {
		all *= g.Odds
		if k < unknown {
			continue
		}
		tokens += all
		more := k - unknown + 1
		if rate := tokens / d.costs.of(rows+more); rate > best {
			best, n, d.expected = rate, more, tokens
		}
	}
	return n
}
