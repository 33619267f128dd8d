package engine

import (
	"cmp"
	"slices"

	"github.com/reasond/reasond/internal/engine/sched"
)

// leastChance is of a guess worth a row, by whatever reckoning.
const leastChance = 0.15

// step is a step that is being planned: its rows, how many guesses it may have beside
// them, and the tokens per second that it is expected to give without any.
type step struct {
	rows, left int
	plain      float64
}

// bid is a sequence that the draft model could guess for.
type bid struct {
	item  int
	trust float64
	most  int // guesses that it may have
	lag   int // rows that the draft model has to catch up

	n, best int // guesses: those tried, those that were best
	chance  float64
}

// consider decides for whom the draft model guesses in a step, where that is expected
// to give more tokens per second than quoting: for those who quote nothing, or for
// all.
func (m *draftModel) consider(d *drafts, items []sched.Item, s step) {
	if m.reckless {
		m.atWhim(d, items)
		return
	}
	quoted, rate := 0, s.plain*worthwhile
	for i := range d.items {
		quoted += d.items[i].to - d.items[i].from
	}
	if quoted > 0 {
		rate = d.expected / m.model.of(s.rows+quoted)
	}
	beside := s
	beside.rows, beside.left = s.rows+quoted, s.left-quoted
	m.collect(d, items, true)
	besides := m.best(beside, d.expected)
	if quoted > 0 {
		m.collect(d, items, false)
		if alone := m.best(s, float64(len(items))); alone > max(rate, besides) {
			m.choose(d, items, s.rows)
			return
		}
		m.collect(d, items, true)
		m.best(beside, d.expected)
	}
	if besides > rate {
		m.choose(d, items, s.rows)
	}
}

// collect makes the bids of all items, or of those only that quote nothing.
func (m *draftModel) collect(d *drafts, items []sched.Item, silent bool) {
	m.bids = m.bids[:0]
	for i := range items {
		it, w := &items[i], &d.items[i]
		c := owner(it)
		if c.ended || c.guide != nil || silent && w.to > w.from {
			continue
		}
		if c.trust == 0 {
			c.trust = m.trust
		}
		end := it.Start + it.Count
		most := min(m.most, room(it), m.context-end)
		if most <= 0 {
			continue
		}
		m.bids = append(m.bids, bid{item: i, trust: float64(c.trust), most: most, lag: end - 1 - m.known.Of(it.Tables[0], it.Start)})
	}
}

// best finds how many guesses of each bid give the step the most tokens per second,
// and returns that rate; tokens is what it is expected to give without them. Pass by
// pass of the draft model, those whose guess is likeliest come first, as many as are
// best.
func (m *draftModel) best(s step, tokens float64) (best float64) {
	slices.SortFunc(m.bids, func(a, b bid) int { return cmp.Or(cmp.Compare(b.trust, a.trust), cmp.Compare(a.item, b.item)) })
	for i := range m.bids {
		b := &m.bids[i]
		b.n, b.best, b.chance = 0, 0, b.trust
	}
	passes := round{tokens: tokens}
	for pass := range m.most {
		r := m.round(pass, s, passes)
		if r.rows == 0 {
			break
		}
		m.grant(pass, r.last)
		passes, s.rows, s.left = r, s.rows+r.rows, s.left-r.rows
		if r.rate > best {
			best = r.rate
			for i := range m.bids {
				m.bids[i].best = m.bids[i].n
			}
		}
	}
	return best
}

// round is a pass of the draft model, and what is expected with it.
type round struct {
	rate    float64 // tokens per second of the step
	tokens  float64 // of the step
	seconds float64 // of this pass and those before
	rows    int
	last    int // bid that is in it
}

// round is the best next pass behind others: of as many bids as give the most.
func (m *draftModel) round(pass int, s step, before round) (best round) {
	rows, lag, tokens := 0, 0, before.tokens
	for i := range m.bids {
		b := &m.bids[i]
		if !b.runs(pass) {
			continue
		}
		if rows++; rows > s.left {
			break
		}
		tokens += b.chance
		if pass == 0 {
			lag += min(b.lag, mostPiece)
		}
		seconds := before.seconds + m.cost(rows) + max(m.cost(rows+lag)-m.cost(rows), 0)/payback
		if rate := tokens / (m.model.of(s.rows+rows) + seconds); rate > best.rate {
			best = round{rate: rate, tokens: tokens, seconds: seconds, rows: rows, last: i}
		}
	}
	return best
}

// runs says that a bid may be in a pass.
func (b *bid) runs(pass int) bool {
	return b.n == pass && b.most > pass && b.chance >= leastChance
}

// grant gives the bids up to last a guess more.
func (m *draftModel) grant(pass, last int) {
	for i := range m.bids[:last+1] {
		if b := &m.bids[i]; b.runs(pass) {
			b.n, b.chance = pass+1, b.chance*b.trust
		}
	}
}

// choose has the draft model guess as the bids say. Who lags by more than a step may
// take catches up by as much, and is guessed for later.
func (m *draftModel) choose(d *drafts, items []sched.Item, rows int) {
	piece := m.pieceRows(rows)
	for _, b := range m.bids {
		if b.best == 0 {
			continue
		}
		m.wish(d, b.item, b.best, b.lag, &piece)
	}
}

// wish notes guesses of an item, or that its lag is to be shortened; piece is how many
// rows are left for that.
func (m *draftModel) wish(d *drafts, item, guesses, lag int, piece *int) {
	w := &d.items[item]
	w.to = w.from
	if lag > *piece {
		w.piece = *piece
	} else {
		w.model = guesses
	}
	*piece -= min(lag, *piece)
}

// atWhim guesses whether it pays or not.
func (m *draftModel) atWhim(d *drafts, items []sched.Item) {
	m.collect(d, items, false)
	piece := m.pieceRows(len(items))
	for _, b := range m.bids {
		n := b.most
		if m.whim != nil {
			n = m.whim(b.most + 1)
		}
		if n > 0 {
			m.wish(d, b.item, n, b.lag, &piece)
		}
	}
}
