package sched

import "github.com/reasond/reasond/internal/engine/kv"

// Request is what Add takes: N sequences over one prompt.
type Request struct {
	Prompt   []int32 // at least one; kept, not changed
	N        int
	Limit    int      // most tokens of one sequence, prompt and output; over len(Prompt)
	Priority int      // lower runs first
	Guided   []bool   // per sequence; nil: none
	Scope    []string // prefixes are shared where all parts are equal
	Score    bool     // the prompt's tokens are to be scored; its Scope must be its own
}

// Group is the sequences of one request. The first to run computes the prompt,
// the others fork its pages.
type Group struct {
	Seqs   []*Seq
	Cached int // prompt tokens found in the prefix cache when the first was admitted

	begun  bool     // a member has been admitted
	scored bool     // Request.Score
	prompt kv.Table // the computed prompt, held for the members that still wait
}

type state uint8

const (
	waiting state = iota
	running
	done
)

// Seq is one sequence. Lengths: tokens ≥ planned ≥ computed, but for tokens
// sampled and not yet known, which pending counts, and guesses, which drafted
// counts.
type Seq struct {
	Choice int // index in Group.Seqs
	Owner  any // the caller's; not looked at here

	group    *Group
	state    state
	priority int
	order    uint64 // of arrival; kept over preemptions, so that nobody loses its place
	guided   bool
	limit    int
	chain    kv.Chain

	tokens    []int32 // prompt and what is known of the output
	promptLen int
	pending   int // rows in flight that will sample a token; guesses do not count
	drafted   int // guesses in flight
	planned   int // tokens whose KV the plans made so far compute
	computed  int // tokens whose KV steps that were applied have computed

	table       kv.Table
	slot        int
	fresh       bool // admitted, not yet in a plan's items
	prefillEnd  int  // tokens known at admission; until planned is there, this is prefill
	life        int  // counts admissions: results of an earlier one change no state
	preemptions int
	reserved    int // free pages set aside for it
	rows        int // scratch of planPrefill
}

// Tokens are the prompt and the output known so far; read-only, valid until the
// next call of the Scheduler.
func (q *Seq) Tokens() []int32 { return q.tokens }

// Generated are the tokens behind the prompt.
func (q *Seq) Generated() []int32 { return q.tokens[q.promptLen:] }

// Prompt are the prompt's tokens.
func (q *Seq) Prompt() []int32 { return q.tokens[:q.promptLen:q.promptLen] }

// Limit is the most tokens that the sequence can reach.
func (q *Seq) Limit() int { return q.limit }

// Running reports whether the sequence has a slot and pages.
func (q *Seq) Running() bool { return q.state == running }

// Done reports whether the sequence has left the scheduler.
func (q *Seq) Done() bool { return q.state == done }

// Preemptions is how often the sequence lost its pages to another.
func (q *Seq) Preemptions() int { return q.preemptions }

// Group is the group that the sequence was added with.
func (q *Seq) Group() *Group { return q.group }

// uncomputed is how many tokens could be planned next. The token that reaches
// the limit is never computed: nothing follows it. A guided sequence, and one whose
// length hangs on guesses, waits for its last result.
func (q *Seq) uncomputed() int {
	total := len(q.tokens) + q.pending
	if total >= q.limit || q.drafted > 0 || q.guided && q.pending > 0 {
		return 0
	}
	return total - q.planned
}

func (q *Seq) prefilling() bool { return q.planned < q.prefillEnd }

// unfilled is how many of the tokens known at admission are not planned: their
// pages are there.
func (q *Seq) unfilled() int { return min(q.uncomputed(), q.prefillEnd-q.planned) }

// scoring says that rows which score the prompt are still to be planned.
func (q *Seq) scoring() bool { return q.group.scored && q.planned < q.promptLen-1 }

// before is the order of service: priority, then arrival.
func (q *Seq) before(r *Seq) bool {
	if q.priority != r.priority {
		return q.priority < r.priority
	}
	return q.order < r.order
}
