package tokenizer

import "hash/maphash"

// index finds tokens by their strings: a hash table of ids with open addressing.
// The strings are those of a table that is asked for them, so that a vocabulary
// of 150,000 takes 1 MB here and not the 8 MB of a map.
type index struct {
	seed  maphash.Seed
	slots []int32 // an id + 1, or 0: free; a power of two of them
	used  int
}

func newIndex() index { return index{seed: maphash.MakeSeed(), slots: make([]int32, 1<<10)} }

// slot is where a token is, or where it would be put.
func (x *index) slot(token string, name func(id int32) string) int {
	last := len(x.slots) - 1
	at := int(maphash.String(x.seed, token)) & last
	for x.slots[at] != 0 && name(x.slots[at]-1) != token {
		at = (at + 1) & last
	}
	return at
}

// id is the token in a slot, -1 if that is free.
func (x *index) id(slot int) int32 { return x.slots[slot] - 1 }

// put puts a token into its slot. name must know it by then.
func (x *index) put(slot int, id int32, name func(id int32) string) {
	if x.slots[slot] == 0 {
		x.used++
	}
	x.slots[slot] = id + 1
	if 4*x.used <= 3*len(x.slots) {
		return
	}
	old := x.slots
	x.slots = make([]int32, 2*len(old))
	for _, held := range old {
		if held != 0 {
			x.slots[x.slot(name(held-1), name)] = held
		}
	}
}
