// Package sched decides which sequences compute which tokens in the next step.
// It is pure: no clock, no goroutine, no device; the same calls give the same
// plans. The caller drives it in a circle:
//
//	Add        a request's sequences begin to wait
//	Plan       who runs, in which pages: at most one plan may be unapplied here
//	(run)      the device computes and samples
//	Apply      its results become known tokens; or Fail
//	Finish     whoever met its end leaves
//
// There is no prefill phase and no decode phase: each sequence has tokens and a
// count of those computed, and a step lets the count catch up. Each Plan:
//
//  1. gives every sequence that is past its prompt its next token's row, in
//     order of priority and arrival, preempting from the end of that order when
//     pages run out (preempt.go);
//  2. admits waiting sequences while slots, pages and rows are there (admit.go);
//  3. shares the prefill rows among the prompts that are not done (prefill.go);
//  4. where no prompt gets any, lets what is left over go to guesses at the
//     tokens that follow (draft.go).
//
// Because one plan may be unapplied, a sequence's last token may be unknown: its
// row is planned on a placeholder that the device resolves, and an end that is
// found late costs that one row. Nothing else rests on what is not applied:
// pages become shareable and prompts forkable only by Apply, so a failed step
// takes down only the sequences in it.
//
// Progress: while there is work, either a plan is unapplied or Plan returns one.
package sched

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/reasond/reasond/internal/engine/kv"
)

// Config sizes a Scheduler.
type Config struct {
	Pages      int // KV pages
	PageTokens int // tokens of one
	Slots      int // sequences that run at once
	Logits     int // rows of a step whose logits can be had, at least Slots; 0: all

	// MaxPreemptions is how often a sequence may lose its pages; admitted again
	// after that, all the pages it can ever need are set aside for it.
	MaxPreemptions int

	// Drafter guesses at tokens; nil: nobody does.
	Drafter Drafter

	// Scrub, when it is over 0, is a page outside the pool that is copied over
	// every page handed out; tests fill it with poison.
	Scrub kv.Page
}

// ErrTooLong says that a sequence could never fit into the pool.
var ErrTooLong = errors.New("sched: prompt and output do not fit into the KV pages")

// Scheduler is the state of all sequences. One goroutine uses it.
type Scheduler struct {
	cfg   Config
	pool  *kv.Pool
	slots []int // free ones, taken from the end

	running []*Seq // in order of service; so is waiting
	waiting []*Seq
	arrived uint64

	flight   []*Plan // made and not applied, oldest first: one or two
	plans    [3]Plan
	made     int
	reserved int        // free pages that are set aside
	retired  []kv.Table // shared prompts given up in the last plan, which may copy from them
	prompts  []*Seq     // scratch of planPrefill

	stats Stats
}

// Stats counts what has happened since the start.
type Stats struct {
	PromptTokens, CachedTokens uint64 // prompt tokens of groups admitted; of these from the prefix cache
	PrefillTokens              uint64 // prompt rows planned; recomputation after a preemption included
	DecodeRows                 uint64 // rows planned for sequences past their prompts
	Preemptions                uint64
	PrefixQueries, PrefixHits  uint64 // tokens looked up in the prefix cache; tokens found
	DraftTokens, DraftAccepted uint64 // guesses checked; guesses that were right
}

// New makes a Scheduler with all pages free.
func New(cfg Config) *Scheduler {
	s := &Scheduler{cfg: cfg, pool: kv.New(cfg.Pages, cfg.PageTokens)}
	for i := cfg.Slots - 1; i >= 0; i-- {
		s.slots = append(s.slots, i)
	}
	return s
}

// Continue makes a new Scheduler count on from another's counters.
func (s *Scheduler) Continue(from Stats) { s.stats = from }

// Pool is the scheduler's pages; for statistics and tests.
func (s *Scheduler) Pool() *kv.Pool { return s.pool }

// Stats is a copy of the counters.
func (s *Scheduler) Stats() Stats { return s.stats }

// Running and Waiting are numbers of sequences.
func (s *Scheduler) Running() int { return len(s.running) }
func (s *Scheduler) Waiting() int { return len(s.waiting) }

// Decoding is the number of running sequences past their prompts.
func (s *Scheduler) Decoding() int {
	n := 0
	for _, q := range s.running {
		if !q.prefilling() {
			n++
		}
	}
	return n
}

// Fits reports whether a sequence of this many tokens can ever run.
func (s *Scheduler) Fits(limit int) bool { return s.pool.PagesFor(limit) <= s.pool.Total() }

// Add puts the group's sequences in the queue, or returns ErrTooLong.
func (s *Scheduler) Add(r Request) (*Group, error) {
	if !s.Fits(r.Limit) {
		return nil, ErrTooLong
	}
	g := &Group{Seqs: make([]*Seq, r.N), scored: r.Score}
	chain := kv.NewChain(r.Scope...)
	for i := range g.Seqs {
		q := &Seq{Choice: i, group: g, priority: r.Priority, order: s.arrived, limit: r.Limit, slot: -1,
			tokens: slices.Clip(r.Prompt), promptLen: len(r.Prompt), chain: chain.Clone(),
			guided: r.Guided != nil && r.Guided[i]}
		s.arrived++
		g.Seqs[i] = q
		s.waiting = insert(s.waiting, q)
	}
	return g, nil
}

// Plan decides the next step. It returns nil when nothing can run before the
// unapplied plan's results are known, or there is nothing to do.
func (s *Scheduler) Plan(b Budget) *Plan {
	if len(s.flight) > 1 {
		panic("sched: two plans are unapplied")
	}
	s.dropRetired()
	p := &s.plans[s.made%len(s.plans)]
	p.reset()
	chunk := max(b.PrefillTokens, 1)
	decode := s.planDecode(p, b.Tokens, chunk)
	alone := len(p.Items)
	s.planPrefill(p, min(b.Tokens-decode, chunk))
	if len(p.Items) == alone {
		s.planDrafts(p, decode, b.Tokens-decode)
	}
	if len(p.Items) == 0 {
		return nil
	}
	s.made++
	s.flight = append(s.flight, p)
	return p
}

// planDecode gives each sequence past its prompt its next row and returns the
// number of rows. More than one a sequence is due only after tokens were forced;
// they come in chunks that leave a row to everybody behind.
func (s *Scheduler) planDecode(p *Plan, rows, chunk int) int {
	used := 0
	for i := 0; i < len(s.running) && used < rows; i++ {
		q := s.running[i]
		behind := len(s.running) - 1 - i
		n := min(q.uncomputed(), chunk, max(rows-used-behind, 1))
		if n == 0 || q.prefilling() {
			continue
		}
		if !s.grow(p, q, q.planned+n) {
			i-- // q itself had to go; the next one is in its place
			continue
		}
		p.add(q, n, s.pool.PagesFor(q.planned+n))
		s.stats.DecodeRows += uint64(n)
		used += n
	}
	return used
}

// Apply makes the oldest unapplied plan's results known: one Result per item,
// in order. Results of sequences that have left meanwhile are dropped.
func (s *Scheduler) Apply(results []Result) {
	p := s.land()
	if len(results) != len(p.Items) {
		panic(fmt.Sprintf("sched: %d results for %d items", len(results), len(p.Items)))
	}
	for i, it := range p.Items {
		q := it.Seq
		if q.state == done {
			continue
		}
		if q.life == p.lives[i] && q.state == running {
			q.computed = it.Start + it.Count
			if it.Draft > 0 { // wrong guesses are taken back; nothing was planned behind them
				q.computed -= it.Draft - accepted(it, results[i])
				q.planned = q.computed
			}
		}
		if it.Logits > 0 {
			q.pending--
			q.drafted -= it.Draft
			q.tokens = append(q.tokens, results[i].Tokens...)
			s.stats.DraftTokens += uint64(it.Draft - results[i].Left)
			s.stats.DraftAccepted += uint64(accepted(it, results[i]))
		}
		if q.life == p.lives[i] && q.state == running {
			s.pool.Seal(&q.table, &q.chain, q.tokens[:q.computed])
			s.sharePrompt(q)
		}
	}
}

// Fail removes the sequences of the oldest unapplied plan, whose step did not
// happen or cannot be trusted, and returns them.
func (s *Scheduler) Fail() []*Seq {
	var failed []*Seq
	for _, it := range s.land().Items {
		if it.Seq.state != done {
			s.Finish(it.Seq)
			failed = append(failed, it.Seq)
		}
	}
	return failed
}

// land takes the oldest plan out of flight.
func (s *Scheduler) land() *Plan {
	if len(s.flight) == 0 {
		panic("sched: no plan is unapplied")
	}
	s.dropRetired()
	p := s.flight[0]
	s.flight = slices.Delete(s.flight, 0, 1)
	return p
}

// Extend appends tokens that were not sampled. No row of q may be in flight.
func (s *Scheduler) Extend(q *Seq, ids []int32) {
	if q.pending > 0 {
		panic("sched: tokens forced behind one that is not known")
	}
	q.tokens = append(q.tokens, ids...)
}

// Finish removes a sequence at any stage: at its end, or to abort it. Its slot
// and pages are free at once; what steps in flight still write there comes
// before what later steps write.
func (s *Scheduler) Finish(q *Seq) {
	switch q.state {
	case done:
		return
	case running:
		s.evict(q)
	case waiting:
		s.waiting = remove(s.waiting, q)
	}
	q.state = done
	s.retirePrompt(q.group)
}

// FinishGroup removes all of a group's sequences.
func (s *Scheduler) FinishGroup(g *Group) {
	for _, q := range g.Seqs {
		s.Finish(q)
	}
}

// evict takes slot and pages from a running sequence.
func (s *Scheduler) evict(q *Seq) {
	s.running = remove(s.running, q)
	s.slots = append(s.slots, q.slot)
	s.pool.Release(&q.table)
	s.reserved -= q.reserved
	q.slot, q.reserved, q.planned, q.computed, q.prefillEnd = -1, 0, 0, 0, 0
}

// insert and remove keep a list in order of service.
func insert(list []*Seq, q *Seq) []*Seq {
	i := sort.Search(len(list), func(i int) bool { return q.before(list[i]) })
	return slices.Insert(list, i, q)
}

func remove(list []*Seq, q *Seq) []*Seq {
	i := slices.Index(list, q)
	return slices.Delete(list, i, i+1)
}
