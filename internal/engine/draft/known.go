package draft

import (
	"slices"

	"github.com/reasond/reasond/internal/engine/kv"
)

// Known is what a draft model has computed of the KV pages, whose numbers are those
// of the model's. A page's leading positions are known up to a count; of a sequence
// they count up to the first page that is not known to its end.
//
// It is told of steps in the order in which they run: Copy and Lose for what the
// model does to its pages, Learn for what the draft model does to its own. A
// page that is handed out anew may be called known until it is written, so of a
// sequence only what the model has computed may be asked for.
type Known struct {
	pageTokens int
	counts     []int32 // by page
}

// NewKnown knows nothing of so many pages.
func NewKnown(pages, pageTokens int) *Known {
	return &Known{pageTokens: pageTokens, counts: make([]int32, pages)}
}

// Forget is for a model that begins anew.
func (k *Known) Forget() { clear(k.counts) }

// Of is how many leading positions of a sequence with this page table are known, of
// the first end.
func (k *Known) Of(table []kv.Page, end int) int {
	for i := 0; i*k.pageTokens < end; i++ {
		if n := int(k.counts[table[i]]); n < k.pageTokens {
			return min(i*k.pageTokens+n, end)
		}
	}
	return end
}

// Copy says that the page src is copied to dst by the model, and reports whether the
// draft model has to as well.
func (k *Known) Copy(src, dst kv.Page) bool {
	k.counts[dst] = k.counts[src]
	return k.counts[src] > 0
}

// Lose says that the model writes the positions from to to-1.
func (k *Known) Lose(table []kv.Page, from, to int) {
	for i := from / k.pageTokens; i*k.pageTokens < to; i++ {
		n := &k.counts[table[i]]
		*n = min(*n, int32(max(from-i*k.pageTokens, 0)))
	}
}

// Learn says that the draft model has computed the positions up to to-1. What it knew
// before reaches to from, or nothing is learnt: it has computed on sand.
func (k *Known) Learn(table []kv.Page, from, to int) {
	if k.Of(table, from) < from {
		return
	}
	for i := from / k.pageTokens; i*k.pageTokens < to; i++ {
		n := &k.counts[table[i]]
		*n = max(*n, int32(min(to-i*k.pageTokens, k.pageTokens)))
	}
}

// Counts is a copy of the counts by page; for tests.
func (k *Known) Counts() []int32 { return slices.Clone(k.counts) }
