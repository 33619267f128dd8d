package sched

import "slices"

// grow gives q pages for this many tokens. Where there are none left it takes
// them from others and returns false only if q itself had to go:
//
//  1. pages set aside for q are its own, it never fails;
//  2. prompts held for forks are given up first: they can be computed again;
//  3. then the last in order of service among the sequences without reserved
//     pages loses everything and recomputes later; that may be q.
func (s *Scheduler) grow(p *Plan, q *Seq, tokens int) bool {
	need := s.pool.PagesFor(tokens) - len(q.table.Pages)
	if need <= 0 {
		return true
	}
	if q.reserved > 0 { // 1
		q.reserved -= need
		s.reserved -= need
		s.take(p, q, tokens)
		return true
	}
	for s.pool.Free()-s.reserved < need {
		if s.dropPrompts() { // 2
			continue
		}
		victim := s.victim() // 3
		s.preempt(p, victim)
		if victim == q {
			return false
		}
	}
	s.take(p, q, tokens)
	return true
}

// take allocates what the caller has made sure is there.
func (s *Scheduler) take(p *Plan, q *Seq, tokens int) {
	from := len(q.table.Pages)
	if !s.pool.Grow(&q.table, tokens) {
		panic("sched: reserved pages are gone")
	}
	if s.cfg.Scrub > 0 {
		for _, page := range q.table.Pages[from:] {
			p.Copies = append(p.Copies, Copy{Src: s.cfg.Scrub, Dst: page})
		}
	}
}

// victim is the last in order of service that may be preempted. The caller is
// running and has no reserved pages, so there is one, at or behind the caller:
// nobody who already has an item in the plan.
func (s *Scheduler) victim() *Seq {
	for _, q := range slices.Backward(s.running) {
		if q.preemptions < s.cfg.MaxPreemptions {
			return q
		}
	}
	panic("sched: no sequence may be preempted")
}

// preempt sends a running sequence back to the queue, to its old place. A token
// still in flight for it will be applied; its KV is computed again.
func (s *Scheduler) preempt(p *Plan, q *Seq) {
	s.evict(q)
	q.state = waiting
	q.preemptions++
	s.waiting = insert(s.waiting, q)
	s.stats.Preemptions++
	p.Preempt = append(p.Preempt, q)
}
