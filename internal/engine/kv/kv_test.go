package kv

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func ids(n, from int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(from + i)
	}
	return out
}

func mustCheck(t testing.TB, p *Pool, tables ...Table) {
	t.Helper()
	if err := p.Check(tables...); err != nil {
		t.Fatal(err)
	}
}

func TestScopePartsDoNotRunTogether(t *testing.T) {
	if NewChain("ab", "c").root == NewChain("a", "bc").root || NewChain("a").root == NewChain("a", "").root {
		t.Error("different scopes have the same root")
	}
	if NewChain("m", "t", "s").root != NewChain("m", "t", "s").root {
		t.Error("the same scope has two roots")
	}
}

func TestHitNeverCoversTheLastToken(t *testing.T) {
	for n := 1; n <= 20; n++ {
		p := New(8, 4)
		var a, b Table
		chain := NewChain("m")
		p.Grow(&a, n)
		p.Seal(&a, &chain, ids(n, 0))
		again := NewChain("m")
		if got, want := p.Match(&b, &again, ids(n, 0)), (n-1)/4*4; got != want {
			t.Errorf("%d tokens: %d found, want %d", n, got, want)
		}
		mustCheck(t, p, a, b)
	}
}

func TestHitsStopAtTheFirstDifference(t *testing.T) {
	p := New(8, 4)
	var a Table
	chain := NewChain("m", "tenant")
	p.Grow(&a, 12)
	p.Seal(&a, &chain, ids(12, 0))
	changed := ids(13, 0)
	changed[5] = 99
	for _, c := range []struct {
		scope string
		ids   []int32
		want  int
	}{{"tenant", ids(13, 0), 12}, {"tenant", changed, 4}, {"other", ids(13, 0), 0}, {"tenant", ids(13, 1), 0}} {
		var b Table
		chain := NewChain("m", c.scope)
		if got := p.Match(&b, &chain, c.ids); got != c.want {
			t.Errorf("%s %v: %d found, want %d", c.scope, c.ids, got, c.want)
		}
		p.Release(&b)
	}
	p.pages[a.Pages[1]].tokens[0]++ // as if two prefixes had one hash
	var b Table
	again := NewChain("m", "tenant")
	if got := p.Match(&b, &again, ids(13, 0)); got != 4 {
		t.Errorf("a hash with other tokens: %d found, want 4", got)
	}
}

func TestTailsAreEvictedFirst(t *testing.T) {
	p := New(4, 4)
	var a, b Table
	chain := NewChain("m")
	p.Grow(&a, 16)
	first := slices.Clone(a.Pages)
	p.Seal(&a, &chain, ids(16, 0))
	p.Release(&a)
	if p.Free() != 4 || p.Cached() != 4 {
		t.Fatalf("free %d, cached %d", p.Free(), p.Cached())
	}
	p.Grow(&b, 8)
	if !slices.Equal(b.Pages, []Page{first[3], first[2]}) {
		t.Errorf("evicted %v of %v", b.Pages, first)
	}
	var c Table
	again := NewChain("m")
	if got := p.Match(&c, &again, ids(17, 0)); got != 8 {
		t.Errorf("%d tokens survive, want 8", got)
	}
	mustCheck(t, p, b, c)
}

func TestGrowTakesAllOrNothing(t *testing.T) {
	p := New(3, 4)
	var a, b Table
	if !p.Grow(&a, 5) || p.Grow(&b, 8) || len(b.Pages) != 0 || !p.Grow(&b, 4) {
		t.Error("Grow")
	}
	mustCheck(t, p, a, b)
}

// TestRandomSequencesLoseNoPage: any order of operations keeps the counts
// right, and a hit only ever returns pages that hold exactly those tokens.
func TestRandomSequencesLoseNoPage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const pageTokens = 4
		p := New(rapid.IntRange(1, 24).Draw(t, "pages"), pageTokens)
		type seq struct {
			table Table
			chain Chain
			ids   []int32
		}
		var live []*seq
		held := map[Page][]int32{} // what was written to each page, by its last writer
		write := func(s *seq, from int) {
			for i := from; i < len(s.ids); i++ {
				pg := s.table.Pages[i/pageTokens]
				held[pg] = append(held[pg][:i%pageTokens:i%pageTokens], s.ids[i])
			}
		}
		tables := func() (all []Table) {
			for _, s := range live {
				all = append(all, s.table)
			}
			return all
		}
		drawIDs := func(n int) []int32 { return rapid.SliceOfN(rapid.Int32Range(0, 1), n, n).Draw(t, "ids") }
		pick := func() int { return rapid.IntRange(0, len(live)-1).Draw(t, "which") }
		some := func(f func()) func(*rapid.T) {
			return func(t *rapid.T) {
				if len(live) == 0 {
					t.Skip("no table is live: another action is drawn")
				}
				f()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				s := &seq{chain: NewChain("m"), ids: drawIDs(rapid.IntRange(1, 14).Draw(t, "n"))}
				hit := p.Match(&s.table, &s.chain, s.ids)
				for i, pg := range s.table.Pages {
					if !slices.Equal(held[pg], s.ids[i*pageTokens:(i+1)*pageTokens]) {
						t.Fatalf("a hit on page %d that holds %v", pg, held[pg])
					}
				}
				if !p.Grow(&s.table, len(s.ids)) {
					p.Release(&s.table)
					return
				}
				write(s, hit)
				p.Seal(&s.table, &s.chain, s.ids)
				live = append(live, s)
			},
			"extend": some(func() {
				s := live[pick()]
				more := drawIDs(rapid.IntRange(1, 6).Draw(t, "n"))
				if p.Grow(&s.table, len(s.ids)+len(more)) {
					from := len(s.ids)
					s.ids = append(s.ids, more...)
					write(s, from)
					p.Seal(&s.table, &s.chain, s.ids)
				}
			}),
			"fork": some(func() {
				src := live[pick()]
				n := len(src.ids) - 1
				s := &seq{chain: src.chain.Clone(), ids: slices.Clone(src.ids)}
				p.Share(&s.table, src.table, n/pageTokens)
				if !p.Grow(&s.table, len(s.ids)) {
					p.Release(&s.table)
					return
				}
				write(s, n/pageTokens*pageTokens)
				live = append(live, s)
			}),
			"release": some(func() {
				i := pick()
				p.Release(&live[i].table)
				live = slices.Delete(live, i, i+1)
			}),
			"": func(t *rapid.T) {
				if err := p.Check(tables()...); err != nil {
					t.Fatal(err)
				}
				for _, s := range live { // nobody wrote on anybody's page
					for i, id := range s.ids {
						if held[s.table.Pages[i/pageTokens]][i%pageTokens] != id {
							t.Fatalf("token %d of %v is lost", i, s.ids)
						}
					}
				}
			},
		})
		for _, s := range live {
			p.Release(&s.table)
		}
		if err := p.Check(); err != nil || p.Free() != p.Total() {
			t.Fatalf("at the end %d of %d are free: %v", p.Free(), p.Total(), err)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	p := New(1024, 32)
	var a Table
	chain := NewChain("m")
	all := ids(32*512, 0)
	p.Grow(&a, len(all))
	p.Seal(&a, &chain, all)
	for _, fresh := range []bool{true, false} {
		b.Run(fmt.Sprintf("hash=%v", fresh), func(b *testing.B) {
			b.ReportAllocs()
			var t Table
			c := NewChain("m")
			for b.Loop() {
				if fresh {
					c = NewChain("m")
				}
				p.Match(&t, &c, all)
				p.Release(&t)
			}
		})
	}
}
