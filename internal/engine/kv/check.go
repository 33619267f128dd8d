package kv

import "fmt"

// Check recomputes everything from the tables in use: reference counts, the
// eviction list, the index, and free + cached + used = total.
func (p *Pool) Check(tables ...Table) error {
	refs := make([]int32, len(p.pages))
	for _, t := range tables {
		for _, id := range t.Pages {
			refs[id]++
		}
	}
	var used, cached, free, indexed int
	for i := range p.pages {
		pg := &p.pages[i]
		if pg.refs != refs[i] {
			return fmt.Errorf("kv: page %d counts %d references, %d tables hold it", i, pg.refs, refs[i])
		}
		switch {
		case pg.refs > 0:
			used++
		case pg.indexed:
			cached++
		default:
			free++
		}
		if pg.indexed {
			indexed++
			if at, ok := p.index[pg.key]; !ok || at != Page(i) {
				return fmt.Errorf("kv: page %d is not where the index has its key", i)
			}
		}
	}
	if indexed != len(p.index) {
		return fmt.Errorf("kv: %d pages are indexed, the index has %d", indexed, len(p.index))
	}
	if cached != p.cached || free+cached != p.order.len || free+cached+used != len(p.pages) {
		return fmt.Errorf("kv: free %d + cached %d + used %d of %d pages; counted cached %d, evictable %d",
			free, cached, used, len(p.pages), p.cached, p.order.len)
	}
	return p.checkOrder()
}

// checkOrder walks the eviction list: unheld pages only, each once, and those
// that are not cached before those that are.
func (p *Pool) checkOrder() error {
	n, prev, seenCached := 0, none, false
	for id := p.order.head; id != none; prev, id = id, p.pages[id].next {
		pg := &p.pages[id]
		if pg.refs != 0 || pg.prev != prev {
			return fmt.Errorf("kv: page %d in the eviction list has %d references, prev %d", id, pg.refs, pg.prev)
		}
		if seenCached && !pg.indexed {
			return fmt.Errorf("kv: free page %d lies behind cached ones", id)
		}
		seenCached = pg.indexed
		if n++; n > p.order.len {
			break
		}
	}
	if n != p.order.len || p.order.tail != prev {
		return fmt.Errorf("kv: the eviction list has %d pages, %d counted", n, p.order.len)
	}
	return nil
}
