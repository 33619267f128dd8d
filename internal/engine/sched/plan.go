package sched

import "github.com/reasond/reasond/internal/engine/kv"

// Budget bounds one step. The loop turns measured time into tokens, so that
// this package needs no clock.
type Budget struct {
	Tokens        int // rows of the step; at least Config.Slots, so that no decode waits
	PrefillTokens int // of these, rows that may be spent on prompts; at least 1
}

// Plan says what the next step computes. It is self-contained: whoever runs it
// needs nothing that later calls of the Scheduler may change. It is valid until
// the plan after the next one is made.
type Plan struct {
	Items   []Item
	Copies  []Copy // done before the items; none reads or writes what another writes
	Preempt []*Seq // lost their slots and pages to make room; they come back by themselves
	Drafts  int    // guesses among the items' rows

	tokens []int32 // Items' Tokens, one behind the other
	pages  []kv.Page
	tables [][]kv.Page
	lives  []int // Seq.life of each item when it was planned
	forks  bool  // Copies reads prompts held for forks
}

// Item is one sequence's part of a step: it computes the tokens at positions
// Start to Start+Count-1.
type Item struct {
	Seq          *Seq
	Slot         int // the sequence's row in the device's persistent buffers
	Start, Count int
	Draft        int         // how many of Count are guesses: the last ones
	Tokens       []int32     // Count ids; negative: the last token sampled in slot ^id, not yet known here
	Tables       [][]kv.Page // a page table per KV group, covering Start+Count tokens
	Logits       int         // rows whose logits are sampled, counted from the end: 0 for a middle chunk, else 1+Draft
	Score        []int32     // prompt tokens to be scored: the k-th by the logits of the item's k-th row
	Guided       bool        // the row is sampled under its guide's mask
	Fresh        bool        // the slot was given to this sequence in this plan
}

// Copy copies page Src to Dst: a fork's own copy of the page that it and its
// sibling would both write.
type Copy struct{ Src, Dst kv.Page }

// Result is what a step sampled for the Item at the same index of its Plan.
type Result struct {
	Seq    *Seq
	Tokens []int32 // none for a middle chunk or a failed row; else one, and one more for each guess that was right
	Left   int     // of the item's guesses, the last ones that were not checked
}

func (p *Plan) reset() {
	p.Items, p.Copies, p.Preempt = p.Items[:0], p.Copies[:0], p.Preempt[:0]
	p.forks, p.Drafts = false, 0
	p.tokens, p.pages, p.tables, p.lives = p.tokens[:0], p.pages[:0], p.tables[:0], p.lives[:0]
}

// add appends the item that computes the next n tokens of q.
func (p *Plan) add(q *Seq, n, pages int) {
	start := len(p.tokens)
	known := min(q.planned+n, len(q.tokens))
	p.tokens = append(p.tokens, q.tokens[q.planned:known]...)
	if known < q.planned+n {
		p.tokens = append(p.tokens, ^int32(q.slot))
	}
	first, table := len(p.pages), len(p.tables)
	p.pages = append(p.pages, q.table.Pages[:pages]...)
	p.tables = append(p.tables, p.pages[first:len(p.pages):len(p.pages)])
	it := Item{Seq: q, Slot: q.slot, Start: q.planned, Count: n, Guided: q.guided, Fresh: q.fresh,
		Tokens: p.tokens[start:len(p.tokens):len(p.tokens)],
		Tables: p.tables[table : table+1 : table+1],
	}
	if last := min(q.planned+n, q.promptLen-1); q.group.scored && q.planned < last {
		it.Score = q.tokens[q.planned+1 : last+1 : last+1]
	}
	q.planned += n
	q.fresh = false
	if q.planned == len(q.tokens)+q.pending {
		it.Logits = 1
		q.pending++
	}
	p.Items = append(p.Items, it)
	p.lives = append(p.lives, q.life)
}
