package sched

import (
	"fmt"

	"github.com/reasond/reasond/internal/engine/kv"
)

// Check verifies the whole state: pages recounted from every table, slots,
// order, reservations and the lengths' inequalities. For tests and debugging.
func (s *Scheduler) Check() error {
	tables := append([]kv.Table(nil), s.retired...)
	prompts := map[*Group]bool{}
	slots := map[int]bool{}
	for _, slot := range s.slots {
		slots[slot] = true
	}
	reserved := 0
	for _, q := range append(append([]*Seq(nil), s.running...), s.waiting...) {
		if !prompts[q.group] {
			prompts[q.group] = true
			tables = append(tables, q.group.prompt)
		}
		tables = append(tables, q.table)
		reserved += q.reserved
		if err := s.checkSeq(q); err != nil {
			return err
		}
		if q.state == running {
			if slots[q.slot] {
				return fmt.Errorf("sched: slot %d is free or used twice", q.slot)
			}
			slots[q.slot] = true
		}
	}
	if len(slots) != s.cfg.Slots {
		return fmt.Errorf("sched: %d slots of %d are accounted for", len(slots), s.cfg.Slots)
	}
	if reserved != s.reserved || reserved > s.pool.Free() {
		return fmt.Errorf("sched: %d pages reserved, %d counted, %d free", reserved, s.reserved, s.pool.Free())
	}
	for _, list := range [][]*Seq{s.running, s.waiting} {
		for i := 1; i < len(list); i++ {
			if !list[i-1].before(list[i]) {
				return fmt.Errorf("sched: out of order at %d", i)
			}
		}
	}
	return s.pool.Check(tables...)
}

func (s *Scheduler) checkSeq(q *Seq) error {
	switch {
	case q.state == done:
		return fmt.Errorf("sched: a sequence that is done is listed")
	case q.fresh:
		return fmt.Errorf("sched: admitted without a row")
	case q.preemptions > s.cfg.MaxPreemptions:
		return fmt.Errorf("sched: preempted %d times", q.preemptions)
	case q.pending < 0 || q.pending > len(s.flight):
		return fmt.Errorf("sched: %d rows sample with %d plans in flight", q.pending, len(s.flight))
	case q.computed > q.planned || q.planned > len(q.tokens)+q.pending+q.drafted || len(q.tokens)+q.drafted > q.limit:
		return fmt.Errorf("sched: computed %d, planned %d, tokens %d, pending %d, drafted %d, limit %d", q.computed, q.planned, len(q.tokens), q.pending, q.drafted, q.limit)
	case q.drafted < 0 || q.drafted > 0 && q.pending == 0:
		return fmt.Errorf("sched: %d guesses behind %d rows that sample", q.drafted, q.pending)
	case len(q.table.Pages)*s.cfg.PageTokens < q.planned:
		return fmt.Errorf("sched: %d pages for %d tokens", len(q.table.Pages), q.planned)
	case q.state == waiting && (len(q.table.Pages) > 0 || q.slot >= 0 || q.reserved > 0):
		return fmt.Errorf("sched: a waiting sequence holds pages, slot %d or a reservation", q.slot)
	}
	return nil
}
