package kv

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Hash names a prefix: the scope it may be shared in and all its tokens.
type Hash [sha256.Size]byte

// Chain holds the hashes of one sequence's full pages: each covers the one
// before it and the page's tokens. Tokens are only ever appended, so a hash
// once computed stays true, also over a preemption.
type Chain struct {
	root Hash
	keys []Hash // keys[i] names the prefix that ends with page i
}

// NewChain starts a chain. Sequences share pages only where all parts of the
// scope are equal: model, tenant and salt.
func NewChain(scope ...string) Chain {
	var b []byte
	for _, part := range scope {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(part))) // ("ab","c") is not ("a","bc")
		b = append(b, part...)
	}
	return Chain{root: sha256.Sum256(b)}
}

// Clone is an independent chain with the same past.
func (c Chain) Clone() Chain { return Chain{root: c.root, keys: slices.Clone(c.keys)} }

// key returns the hash of the prefix ids[:(i+1)*pageTokens].
func (c *Chain) key(i, pageTokens int, ids []int32) Hash {
	for len(c.keys) <= i {
		n := len(c.keys)
		parent := c.root
		if n > 0 {
			parent = c.keys[n-1]
		}
		var room [sha256.Size + 4*64]byte
		b := append(room[:0], parent[:]...)
		for _, id := range ids[n*pageTokens : (n+1)*pageTokens] {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
		c.keys = append(c.keys, sha256.Sum256(b))
	}
	return c.keys[i]
}

// Match puts the longest cached prefix of ids into the empty table t and
// returns its tokens. A hit never covers the last token: its logits are wanted.
func (p *Pool) Match(t *Table, c *Chain, ids []int32) int {
	for i := range (len(ids) - 1) / p.pageTokens {
		id, ok := p.index[c.key(i, p.pageTokens, ids)]
		if !ok || !slices.Equal(p.pages[id].tokens, ids[i*p.pageTokens:(i+1)*p.pageTokens]) {
			break
		}
		p.retain(id)
		t.Pages = append(t.Pages, id)
	}
	t.sealed = len(t.Pages)
	return len(t.Pages) * p.pageTokens
}

// Seal offers the full pages of t, whose first len(ids) tokens have been
// computed, for sharing. Of two pages with the same content the first stays
// indexed: tables are append-only, so the second is not merged.
func (p *Pool) Seal(t *Table, c *Chain, ids []int32) {
	for ; (t.sealed+1)*p.pageTokens <= len(ids); t.sealed++ {
		key := c.key(t.sealed, p.pageTokens, ids)
		pg := &p.pages[t.Pages[t.sealed]]
		if _, dup := p.index[key]; dup || pg.indexed {
			continue
		}
		pg.indexed, pg.key = true, key
		pg.tokens = append(pg.tokens[:0], ids[t.sealed*p.pageTokens:(t.sealed+1)*p.pageTokens]...)
		p.index[key] = t.Pages[t.sealed]
	}
}

// forget takes a page out of the index.
func (p *Pool) forget(pg *page) {
	delete(p.index, pg.key)
	pg.indexed = false
}
