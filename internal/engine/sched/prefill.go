package sched

import (
	"cmp"
	"slices"
)

// much is how many times smaller a prompt must be to pass an older one: prompts of
// about the same length come in their order.
const much = 4

// planPrefill admits waiting sequences and deals the rows out among the prompts that
// are not computed, so that one after the other is done and its sequence decodes
// beside the others' prompts:
//
//  1. who was admitted in this plan gets a row, which Fail relies on;
//  2. the oldest prompt gets half of the rows, so that nobody starves it;
//  3. what is left goes to the prompt with the fewest rows left, then to the next,
//     and to the oldest before all that are not much smaller.
//
// A prompt whose tokens are scored wants the logits of each row: of those beyond
// one a running sequence it gets what is left.
func (s *Scheduler) planPrefill(p *Plan, rows int) {
	if rows <= 0 {
		return
	}
	s.collectPrompts()
	for len(p.Preempt) == 0 && s.reachesWaiting(rows) { // who was preempted just now would come back at once
		q := s.next()
		if q == nil || !s.admit(p, q) {
			break
		}
		s.collectPrompts()
	}
	s.deal(rows)
	for _, q := range s.prompts {
		if q.rows > 0 {
			n := q.rows
			p.add(q, n, s.pool.PagesFor(q.planned+n))
			s.stats.PrefillTokens += uint64(n)
		}
	}
}

// collectPrompts lists the running sequences whose prompts wait to be computed, the
// oldest first.
func (s *Scheduler) collectPrompts() {
	s.prompts = s.prompts[:0]
	for _, q := range s.running {
		if q.prefilling() {
			q.rows = 0
			s.prompts = append(s.prompts, q)
		}
	}
}

// reachesWaiting reports whether running prompts leave a row to the smallest prompt
// that waits. Then whoever waits before it is admitted too: the queue keeps its
// order. Nobody else is admitted early, for what runs may turn out to be its prefix.
func (s *Scheduler) reachesWaiting(rows int) bool {
	smallest, priority := 0, 0
	for _, q := range s.waiting {
		if smallest > 0 && q.priority != priority {
			break
		}
		if !s.ready(q) {
			continue
		}
		if n := s.unfilledOf(q); smallest == 0 || n < smallest {
			smallest, priority = n, q.priority
		}
	}
	for i, q := range s.prompts {
		switch n := q.unfilled(); {
		case n <= much*smallest || q.priority < priority:
			rows -= n
		case i == 0:
			rows -= min(n, (rows+1)/2)
		case q.fresh:
			rows--
		}
	}
	return smallest > 0 && rows > 0
}

// deal sets the rows of each prompt and puts them into the order of service.
func (s *Scheduler) deal(rows int) {
	if len(s.prompts) == 0 {
		return
	}
	logits := s.spareLogits(rows)
	give := func(q *Seq, n int) {
		n = min(n, rows, q.unfilled()-q.rows)
		if q.scoring() {
			own := 0
			if q.rows == 0 {
				own = 1
			}
			n = min(n, logits+own)
			logits -= max(n-own, 0)
		}
		q.rows += n
		rows -= n
	}
	oldest, half := s.prompts[0], (rows+1)/2
	for _, q := range s.prompts { // 1
		if q.fresh {
			give(q, 1)
		}
	}
	give(oldest, half-oldest.rows) // 2
	rank := func(q *Seq) int {
		if q == oldest {
			return q.unfilled() / much
		}
		return q.unfilled()
	}
	slices.SortStableFunc(s.prompts, func(a, b *Seq) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(rank(a), rank(b)))
	})
	for _, q := range s.prompts { // 3
		give(q, rows)
	}
}

// spareLogits is how many rows have logits beside one of each running sequence.
func (s *Scheduler) spareLogits(rows int) int {
	if s.cfg.Logits == 0 {
		return rows
	}
	return max(s.cfg.Logits-len(s.running), 0)
}

// Backlog is how many rows the prompts want that are not computed, of those that run
// and of those that free slots wait for.
func (s *Scheduler) Backlog() int {
	n, slots := 0, len(s.slots)
	for _, q := range s.running {
		if q.prefilling() {
			n += q.unfilled()
		}
	}
	for _, q := range s.waiting[:min(slots, len(s.waiting))] {
		n += s.unfilledOf(q)
	}
	return n
}

// unfilledOf is the rows that a waiting sequence would want; what the prefix cache
// has of them is not known before. One that copies its sibling's prompt wants one.
func (s *Scheduler) unfilledOf(q *Seq) int {
	if q.Choice > 0 && q.group.begun && len(q.tokens) == q.promptLen {
		return 1
	}
	return len(q.tokens)
}
