// Package kv owns the page numbers of the KV cache: which are free, who shares
// one, and which still hold the KV of a known prefix. It is plain bookkeeping:
// it never sees keys or values, knows no device, no clock and no goroutine.
//
// A page is in one of three states, and their counts add up to the total:
//
//	used    refs > 0; may also be indexed, so that others can share it
//	cached  refs = 0, indexed: still a hit, evicted when nothing else is free
//	free    refs = 0, not indexed
//
// Safety rests on one order: a page is written only by the sequence that holds
// its last reference-to-write, at positions that no other holder reads; devices
// run steps in order, so a page freed here may be handed out at once.
package kv

import "fmt"

// Page numbers a KV page, 0 to Pool.Total()-1.
type Page int32

// Pool is a fixed set of pages. The zero value is useless; see New.
type Pool struct {
	pageTokens int
	pages      []page
	index      map[Hash]Page
	order      list // pages with refs = 0 in eviction order
	cached     int  // indexed pages with refs = 0
}

type page struct {
	refs       int32
	prev, next Page // in Pool.order while refs = 0
	indexed    bool
	key        Hash    // of the prefix that ends with this page; valid while indexed
	tokens     []int32 // the page's own tokens, compared on a hit; valid while indexed
}

// New makes a pool of pages that hold pageTokens tokens each.
func New(pages, pageTokens int) *Pool {
	if pages < 1 || pageTokens < 1 {
		panic(fmt.Sprintf("kv: %d pages of %d tokens", pages, pageTokens))
	}
	p := &Pool{pageTokens: pageTokens, pages: make([]page, pages), index: make(map[Hash]Page), order: list{head: none, tail: none}}
	for i := range p.pages {
		p.order.pushBack(p.pages, Page(i))
	}
	return p
}

// Reorder sets the order in which never used pages are handed out; for tests
// that show page numbers to be irrelevant. All pages must be free.
func (p *Pool) Reorder(order []int) {
	p.order = list{head: none, tail: none}
	for _, i := range order {
		p.order.pushBack(p.pages, Page(i))
	}
}

// Total is the number of pages.
func (p *Pool) Total() int { return len(p.pages) }

// Free is the number of pages that can be allocated, cached ones included.
func (p *Pool) Free() int { return p.order.len }

// Cached is the number of pages without a holder that are still indexed.
func (p *Pool) Cached() int { return p.cached }

// PageTokens is the number of tokens that a page holds.
func (p *Pool) PageTokens() int { return p.pageTokens }

// PagesFor is the number of pages that hold this many tokens.
func (p *Pool) PagesFor(tokens int) int { return (tokens + p.pageTokens - 1) / p.pageTokens }

// alloc hands out the page that is first to evict, with one reference.
func (p *Pool) alloc() Page {
	id := p.order.head
	pg := &p.pages[id]
	if pg.indexed {
		p.forget(pg)
		p.cached--
	}
	p.order.remove(p.pages, id)
	pg.refs = 1
	return id
}

func (p *Pool) retain(id Page) {
	pg := &p.pages[id]
	if pg.refs == 0 {
		p.order.remove(p.pages, id)
		p.cached-- // only indexed pages are reachable with no reference
	}
	pg.refs++
}

// release drops one reference. A page that holds no known prefix is the next
// to be reused; an indexed one goes to the back of the eviction order.
func (p *Pool) release(id Page) {
	pg := &p.pages[id]
	if pg.refs <= 0 {
		panic(fmt.Sprintf("kv: page %d released without a reference", id))
	}
	if pg.refs--; pg.refs > 0 {
		return
	}
	if pg.indexed {
		p.order.pushBack(p.pages, id)
		p.cached++
	} else {
		p.order.pushFront(p.pages, id)
	}
}

const none Page = -1

// list is a doubly linked list through pages' prev and next.
type list struct {
	head, tail Page
	len        int
}

func (l *list) pushBack(pages []page, id Page) {
	pages[id].prev, pages[id].next = l.tail, none
	if l.tail == none {
		l.head = id
	} else {
		pages[l.tail].next = id
	}
	l.tail = id
	l.len++
}

func (l *list) pushFront(pages []page, id Page) {
	pages[id].prev, pages[id].next = none, l.head
	if l.head == none {
		l.tail = id
	} else {
		pages[l.head].prev = id
	}
	l.head = id
	l.len++
}

func (l *list) remove(pages []page, id Page) {
	prev, next := pages[id].prev, pages[id].next
	if prev == none {
		l.head = next
	} else {
		pages[prev].next = next
	}
	if next == none {
		l.tail = prev
	} else {
		pages[next].prev = prev
	}
	l.len--
}
