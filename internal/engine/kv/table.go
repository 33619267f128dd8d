package kv

// Table is a sequence's pages in order of position: token t lies in
// Pages[t/PageTokens]. The zero value is an empty table.
type Table struct {
	Pages  []Page
	sealed int // leading pages that were offered for sharing or came from there
}

// Grow extends t so that it holds this many tokens: all new pages or none.
func (p *Pool) Grow(t *Table, tokens int) bool {
	need := p.PagesFor(tokens) - len(t.Pages)
	if need > p.Free() {
		return false
	}
	for range need {
		t.Pages = append(t.Pages, p.alloc())
	}
	return true
}

// Share appends references to the first n pages of src to the empty table t.
// The holder may read them; it writes none of them, so a fork shares full
// pages and copies the last, partial one.
func (p *Pool) Share(t *Table, src Table, n int) {
	for _, id := range src.Pages[:n] {
		p.retain(id)
		t.Pages = append(t.Pages, id)
	}
	t.sealed = min(n, src.sealed)
}

// Release drops all pages of t, tails first, so that of one sequence the end
// is evicted before the beginning that it depends on.
func (p *Pool) Release(t *Table) {
	for i := len(t.Pages) - 1; i >= 0; i-- {
		p.release(t.Pages[i])
	}
	t.Pages, t.sealed = t.Pages[:0], 0
}
