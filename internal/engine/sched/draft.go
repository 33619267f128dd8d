package sched

import "fmt"

// Drafter guesses at tokens that are not sampled yet.
type Drafter interface {
	// Consider is told of the items of a plan that may have guesses, before Draft is
	// asked about any: they are of rows rows, and at most left guesses may be made at
	// the tokens of all together. Items is read before Consider returns.
	Consider(items []Item, rows, left int)
	// Draft returns at most most guesses at the tokens that follow item i, the first at
	// the token that the step samples for it in any case. It is called at most once an
	// item; the slice is read before the next call. None is a good answer. Whoever
	// runs the plan may replace guesses, and may leave out the last ones, see Result.
	Draft(i, most int) []int32
}

// planDrafts lets a step of this many rows have up to left guesses more. They get
// what nobody else wants: no page that a running sequence will need next, no
// logits row of anybody's, no place of a prompt. Guided sequences have none, since
// their masks hang on the tokens before.
func (s *Scheduler) planDrafts(p *Plan, rows, left int) {
	if s.cfg.Drafter == nil || len(p.Items) == 0 {
		return
	}
	if s.cfg.Logits > 0 {
		left = min(left, s.cfg.Logits-len(p.Items))
	}
	s.cfg.Drafter.Consider(p.Items, rows, left)
	for i := range p.Items {
		it := &p.Items[i]
		q, total := it.Seq, it.Start+it.Count
		most := min(left, q.limit-total-1, s.spareTokens(q)-total)
		if most <= 0 || it.Guided || it.Logits == 0 {
			continue
		}
		guesses := s.cfg.Drafter.Draft(i, most)
		n := len(guesses)
		if n == 0 {
			continue
		}
		if n > most {
			panic(fmt.Sprintf("sched: %d guesses of at most %d", n, most))
		}
		s.grow(p, q, total+n)
		p.draft(it, guesses, s.pool.PagesFor(total+n))
		s.stats.DecodeRows += uint64(n)
		left -= n
	}
}

// spareTokens is how many tokens q's pages can hold, those included that it may
// take without taking them from anybody.
func (s *Scheduler) spareTokens(q *Seq) int {
	spare := q.reserved
	if spare == 0 {
		spare = max(s.pool.Free()-s.reserved-s.margin(), 0)
	}
	return (len(q.table.Pages) + spare) * s.cfg.PageTokens
}

// draft puts guesses behind an item's tokens.
func (p *Plan) draft(it *Item, guesses []int32, pages int) {
	tokens, first := len(p.tokens), len(p.pages)
	p.tokens = append(append(p.tokens, it.Tokens...), guesses...)
	it.Tokens = p.tokens[tokens:len(p.tokens):len(p.tokens)]
	p.pages = append(p.pages, it.Seq.table.Pages[:pages]...)
	it.Tables[0] = p.pages[first:len(p.pages):len(p.pages)]
	it.Draft = len(guesses)
	p.Drafts += it.Draft
	it.Count += it.Draft
	it.Logits += it.Draft
	it.Seq.planned += it.Draft
	it.Seq.drafted += it.Draft
}

// accepted is how many of an item's guesses were right.
func accepted(it Item, r Result) int {
	if r.Left < 0 || r.Left > it.Draft || len(r.Tokens) > it.Logits-r.Left {
		panic(fmt.Sprintf("sched: %d tokens of %d rows, of which %d were left out", len(r.Tokens), it.Logits, r.Left))
	}
	return max(len(r.Tokens)-1, 0)
}
