package sched

import (
	"cmp"
	"slices"
)

// minChunk is the fewest rows that a prompt gets while others want rows too.
const minChunk = 8

// planPrefill admits waiting sequences and shares the rows among all prompts
// that are not computed:
//
//  1. prompts that run already are served first, the oldest before all, then
//     the shortest; then the queue in its order;
//  2. each gets at most half of the rows that are left, so that a huge prompt
//     leaves room for small ones behind it, and cannot be starved by them; who
//     was admitted in this plan gets at least one, which Fail relies on;
//  3. what remains goes to the same prompts in the same order.
//
// A prompt whose tokens are scored wants the logits of each row: of those beyond
// one a running sequence it gets what is left.
func (s *Scheduler) planPrefill(p *Plan, rows int) {
	if rows <= 0 {
		return
	}
	s.collectPrompts()
	left := rows
	for _, q := range s.prompts {
		left -= share(q.unfilled(), left)
	}
	for left > 0 && len(p.Preempt) == 0 { // who was preempted just now would come back at once
		q := s.next()
		if q == nil || !s.admit(p, q) {
			break
		}
		left -= share(q.unfilled(), left)
	}
	s.collectPrompts() // 1
	left = rows
	logits := s.spareLogits(rows)
	for i, q := range s.prompts { // 2
		behind := len(s.prompts) - 1 - i
		q.rows = share(q.unfilled(), max(left-behind, min(left, 1)))
		if q.scoring() {
			q.rows = min(q.rows, 1+logits)
			logits -= max(q.rows-1, 0)
		}
		left -= q.rows
	}
	for _, q := range s.prompts { // 3
		more := min(q.unfilled()-q.rows, left)
		if q.scoring() {
			more = min(more, logits)
			logits -= more
		}
		left -= more
		if n := q.rows + more; n > 0 {
			p.add(q, n, s.pool.PagesFor(q.planned+n))
			s.stats.PrefillTokens += uint64(n)
		}
	}
}

// spareLogits is how many rows have logits beside one of each running sequence.
func (s *Scheduler) spareLogits(rows int) int {
	if s.cfg.Logits == 0 {
		return rows
	}
	return max(s.cfg.Logits-len(s.running), 0)
}

// collectPrompts lists the running sequences whose prompts wait to be computed.
func (s *Scheduler) collectPrompts() {
	s.prompts = s.prompts[:0]
	for _, q := range s.running {
		if q.prefilling() {
			s.prompts = append(s.prompts, q)
		}
	}
	if len(s.prompts) > 1 {
		slices.SortStableFunc(s.prompts[1:], func(a, b *Seq) int { return cmp.Compare(a.unfilled(), b.unfilled()) })
	}
}

// share is what a prompt of n rows gets of those left.
func share(n, left int) int {
	return min(n, left, max(minChunk, (left+1)/2))
}
