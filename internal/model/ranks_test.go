package model

import (
	"strings"
	"testing"
)

// Law: what ranks hold of the KV cache adds up to the whole, except where there
// are fewer heads than ranks.
func TestOfRankIsAShare(t *testing.T) {
	c, err := ParseConfig(edit(t, ``)) // 4 heads, 2 of them for keys and values
	if err != nil {
		t.Fatal(err)
	}
	for n, share := range map[int]int64{1: 1, 2: 2, 4: 2} {
		if err := c.CheckRanks(n); err != nil {
			t.Errorf("%d ranks: %v", n, err)
		}
		part := c.OfRank(n)
		if got := part.KVBytesPerToken(2); got*share != c.KVBytesPerToken(2) || part.Intermediate*n != c.Intermediate || part.Vocab != c.Vocab {
			t.Errorf("%d ranks: %d bytes a token of %d, %+v", n, got, c.KVBytesPerToken(2), part)
		}
	}
	for _, n := range []int{3, 8} {
		if err := c.CheckRanks(n); err == nil || !strings.Contains(err.Error(), "num_attention_heads 4") {
			t.Errorf("%d ranks: %v", n, err)
		}
	}
}
