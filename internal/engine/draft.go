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
// step is expected to give per second, for all its sequences together. What was read
// and written is asked first, a draft model then. It is the loop's, and implements
// sched.Drafter.
type drafts struct {
	most     int // guesses of a choice; 0: none are made
	eos      []int32
	source   func() draft.Source
	reckless bool
	model    *draftModel // nil: there is none

	costs    *costs
	items    []drafted // of the plan being made; empty: it cannot have guesses
	ids      []int32   // of all items, one behind the other
	expected float64   // tokens of the step being planned
	guesses  []draft.Guess
}

// drafted is what an item of a plan is to have.
type drafted struct {
	from, to int // its guesses in drafts.ids
	model    int // guesses that the draft model makes, in place of those
	piece    int // rows by which the draft model catches up, without guessing
}

func newDrafts(cfg *Config, info backend.Info, c *costs) drafts {
	d := drafts{costs: c, most: cfg.DraftTokens, eos: cfg.EOS, source: cfg.tweak.guesses, reckless: cfg.tweak.reckless}
	if !info.Drafts {
		d.most = 0
	}
	if d.most > 0 && cfg.Draft != nil {
		d.model = newDraftModel(cfg, info, c)
	}
	return d
}

// begin is called before each plan.
func (d *drafts) begin() { d.items = d.items[:0] }

// Consider implements sched.Drafter.
func (d *drafts) Consider(items []sched.Item, rows, left int) {
	d.ids, d.expected = d.ids[:0], float64(len(items))
	plain := d.expected / d.costs.of(rows)
	used := rows
	for i := range items {
		w := drafted{from: len(d.ids)}
		if c := owner(&items[i]); !c.ended && c.guide == nil {
			used += d.quote(c, &items[i], used, left-(used-rows))
		}
		w.to = len(d.ids)
		d.items = append(d.items, w)
	}
	if d.model != nil {
		d.model.consider(d, items, step{rows: rows, left: left, plain: plain})
	}
}

// Draft implements sched.Drafter.
func (d *drafts) Draft(i, most int) []int32 {
	w := &d.items[i]
	if w.model > 0 {
		w.model = min(w.model, most)
		d.ids = append(d.ids, make([]int32, w.model)...) // the draft model writes them
		w.from, w.to = len(d.ids)-w.model, len(d.ids)
	}
	w.to = min(w.to, w.from+most)
	return d.ids[w.from:w.to]
}

func owner(it *sched.Item) *choice { return it.Seq.Owner.(*choice) }

// unknown is how many tokens before an item's guesses are in flight.
func unknown(it *sched.Item) int { return it.Start + it.Count - it.Draft - len(it.Seq.Tokens()) }

// quote appends guesses from what the sequence has read and written to d.ids, as far
// as they pay in a step of so many rows, at most left. It returns their number.
func (d *drafts) quote(c *choice, it *sched.Item, rows, left int) int {
	if c.source == nil {
		c.source = d.source()
	}
	ahead := unknown(it)
	c.source.Learn(it.Seq.Tokens())
	d.guesses = d.untilEnd(c, c.source.Guess(d.guesses[:0], ahead+max(min(left, d.most, room(it)), 0)))
	n := len(d.guesses) - ahead
	if n > 0 && !d.reckless {
		n = d.paying(d.guesses, ahead, rows)
	}
	for k := range n {
		d.ids = append(d.ids, d.guesses[ahead+k].Token)
	}
	return max(n, 0)
}

// room is how many guesses an item may have before its sequence's end.
func room(it *sched.Item) int {
	if it.Logits == 0 {
		return 0
	}
	return max(it.Seq.Limit()-(it.Start+it.Count)-1, 0)
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
