package dispatch

import (
	"container/list"
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/reasond/reasond/internal/llm"
)

// blockTokens is how much of a prompt is one entry of the index: a KV page, which
// is what engines share.
const blockTokens = 32

// index remembers which engines were sent which beginnings of prompts. A
// beginning is named by a hash of its tokens, tenant and salt, taken over from
// block to block; a collision sends a request elsewhere and does no other harm.
// It holds so many blocks at most and forgets those longest unused.
type index struct {
	seed    maphash.Seed
	most    int
	entries map[uint64]*list.Element // of entry
	used    *list.List               // most recently used first
}

type entry struct {
	block   uint64
	engines uint64 // bit i: engine i
}

func newIndex(most int) *index {
	return &index{seed: maphash.MakeSeed(), most: most, entries: map[uint64]*list.Element{}, used: list.New()}
}

// blocks names the beginnings of a request's prompt, shortest first: only whole
// blocks, and never the last token, which is always computed. It reads nothing
// that changes.
func (x *index) blocks(req *llm.Request) []uint64 {
	ids := req.Prompt.IDs
	if len(ids) <= blockTokens {
		return nil
	}
	var buf [8 + 4*blockTokens]byte
	scope := maphash.String(x.seed, req.Tenant)
	binary.LittleEndian.PutUint64(buf[:], scope)
	last := maphash.Bytes(x.seed, append(buf[:8], req.Salt...))
	names := make([]uint64, min((len(ids)-1)/blockTokens, x.most))
	for i := range names {
		binary.LittleEndian.PutUint64(buf[:], last)
		for k, id := range ids[i*blockTokens:][:blockTokens] {
			binary.LittleEndian.PutUint32(buf[8+4*k:], uint32(id))
		}
		last = maphash.Bytes(x.seed, buf[:])
		names[i] = last
	}
	return names
}

// match tells how many of the blocks, from the first on, each engine has been
// sent; engines without any are not told.
func (x *index) match(blocks []uint64, tell func(engine, known int)) {
	with := ^uint64(0)
	for n, b := range blocks {
		found := uint64(0)
		if el, ok := x.entries[b]; ok {
			found = el.Value.(*entry).engines
		}
		each(with&^found, func(i int) {
			if n > 0 {
				tell(i, n)
			}
		})
		if with &= found; with == 0 {
			return
		}
	}
	if len(blocks) > 0 {
		each(with, func(i int) { tell(i, len(blocks)) })
	}
}

// note remembers that an engine was sent a prompt. The longest beginnings are
// forgotten first, as they are of no use without the shorter ones.
func (x *index) note(blocks []uint64, engine int) {
	for i := len(blocks) - 1; i >= 0; i-- {
		el, ok := x.entries[blocks[i]]
		if !ok {
			el = x.used.PushFront(&entry{block: blocks[i]})
			x.entries[blocks[i]] = el
		}
		el.Value.(*entry).engines |= 1 << engine
		x.used.MoveToFront(el)
	}
	for len(x.entries) > x.most {
		x.remove(x.used.Back())
	}
}

// forget drops all that an engine was sent.
func (x *index) forget(engine int) {
	for el := x.used.Front(); el != nil; {
		next := el.Next()
		e := el.Value.(*entry)
		if e.engines &^= 1 << engine; e.engines == 0 {
			x.remove(el)
		}
		el = next
	}
}

func (x *index) remove(el *list.Element) {
	delete(x.entries, el.Value.(*entry).block)
	x.used.Remove(el)
}

// each calls f for every bit that is set.
func each(set uint64, f func(i int)) {
	for ; set != 0; set &= set - 1 {
		f(bits.TrailingZeros64(set))
	}
}
