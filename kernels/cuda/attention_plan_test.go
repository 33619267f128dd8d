package cuda

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// planned is a Planner with a step of its own to plan.
type planned struct {
	*Planner
	seqs                 []int32
	rows                 int
	narrow, wide, merges []int32
	work                 Work
}

func (p *planned) items() [][]int32 {
	return append(slices.Collect(slices.Chunk(p.narrow[:p.work.Narrow*ItemWords], ItemWords)),
		slices.Collect(slices.Chunk(p.wide[:p.work.Wide*ItemWords], ItemWords))...)
}

// plan draws sequences that fit the limits and plans them into arrays of exactly
// Capacity.
func plan(t *testing.T, rng *rand.Rand, p *Planner, l Limits, rows, longest int) *planned {
	t.Helper()
	d := &planned{Planner: p}
	table := 0
	for n := 0; n < l.MaxSeqs && d.rows < rows; n++ {
		count := 1
		if rng.IntN(3) == 0 {
			count = 1 + rng.IntN(min(rows-d.rows, l.MaxContext, 1<<rng.IntN(9)))
		}
		length := count + rng.IntN(min(l.MaxContext, longest)-min(count, longest, l.MaxContext)+1)
		length = min(length, l.MaxContext)
		d.seqs = append(d.seqs, int32(n), int32(d.rows), int32(count), int32(length), int32(table))
		d.rows += count
		table += ceilDiv(length, PageTokens)
	}
	c := p.Capacity(d.rows)
	d.narrow, d.wide, d.merges = make([]int32, c.Narrow*ItemWords), make([]int32, c.Wide*ItemWords), make([]int32, c.Merges*MergeWords)
	d.work = p.Plan(d.seqs, d.narrow, d.wide, d.merges) // panics where the arrays are too small
	return d
}

// check: every token that a row may see is in exactly one of its items, partial
// slots are the row's alone, and a merge lists them.
func (p *planned) check(t *testing.T) {
	t.Helper()
	type span struct{ from, to, slot int32 }
	spans := make([][]span, p.rows)
	seq := make([]int, p.rows)
	for n := range len(p.seqs) / SeqWords {
		s := p.seqs[n*SeqWords:]
		for r := s[1]; r < s[1]+s[2]; r++ {
			seq[r] = n
		}
	}
	items := p.items()
	for i, w := range items {
		if i > 0 && i != p.work.Narrow && w[4]-w[3] > items[i-1][4]-items[i-1][3] {
			t.Fatalf("item %d is longer than the one before", i)
		}
		if w[3]%PageTokens != 0 || w[4] <= w[3] {
			t.Fatalf("item %d has tokens %d to %d", i, w[3], w[4])
		}
		most := p.Wide
		if i < p.work.Narrow {
			most = p.Narrow
		}
		if w[1] < 1 || int(w[1]) > most {
			t.Fatalf("item %d has %d rows, at most %d", i, w[1], most)
		}
		for r := range w[1] {
			row := w[0] + r
			s := p.seqs[seq[row]*SeqWords:]
			if s[4] != w[2] || seq[row] != seq[w[0]] {
				t.Fatalf("row %d is in an item of another sequence", row)
			}
			if pos := s[3] - s[2] + row - s[1]; w[7]+r != pos {
				t.Fatalf("row %d has position %d in its item, want %d", row, w[7]+r, pos)
			}
			slot := int32(-1)
			if w[5] >= 0 {
				slot = w[5] + r
			}
			spans[row] = append(spans[row], span{w[3], w[4], slot})
		}
	}
	slots := map[int32]bool{}
	merged := map[int32][]int32{}
	for m := range slices.Chunk(p.merges[:p.work.Merges*MergeWords], MergeWords) {
		if merged[m[0]] != nil {
			t.Fatalf("row %d is merged twice", m[0])
		}
		for i := range m[3] {
			merged[m[0]] = append(merged[m[0]], m[1]+i*m[2])
		}
	}
	for row, all := range spans {
		s := p.seqs[seq[row]*SeqWords:]
		pos := s[3] - s[2] + int32(row) - s[1]
		slices.SortFunc(all, func(a, b span) int { return int(a.from - b.from) })
		start := int32(0)
		if p.Window > 0 {
			start = max(0, pos+1-int32(p.Window))
		}
		at := all[0].from
		if at > start {
			t.Fatalf("row %d begins at token %d, it sees %d", row, at, start)
		}
		for _, one := range all {
			if one.from != at {
				t.Fatalf("row %d has token %d and then %d", row, at, one.from)
			}
			at = one.to
			if (one.slot >= 0) != (len(all) > 1) || slots[one.slot] || int(one.slot) >= p.Slots() {
				t.Fatalf("row %d of %d items leaves its result in slot %d of %d", row, len(all), one.slot, p.Slots())
			}
			slots[one.slot] = one.slot >= 0
		}
		if at <= pos {
			t.Fatalf("row %d at position %d ends at token %d", row, pos, at)
		}
		want := merged[int32(row)]
		if len(all) > 1 {
			for i, one := range all {
				if len(want) != len(all) || want[i] != one.slot {
					t.Fatalf("row %d leaves slots %v, the merge lists %v", row, all, want)
				}
			}
		} else if want != nil {
			t.Fatalf("row %d is merged from %v", row, want)
		}
	}
}

func TestEveryTokenIsInOneItemOfEachRow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		l := Limits{MaxRows: 1 << rng.IntN(10), MaxSeqs: 1 + rng.IntN(70), MaxContext: PageTokens << rng.IntN(8), SMs: 1 + rng.IntN(140)}
		kv := 1 + rng.IntN(8)
		heads := kv * (1 + rng.IntN(80))
		window := 0
		if rng.IntN(3) == 0 {
			window = 1 + rng.IntN(300)
		}
		p, err := NewPlanner(heads, kv, 64, window, rng.IntN(4) == 0, l)
		if rng.IntN(4) == 0 {
			p, err = NewLatentPlanner(heads, rng.IntN(4) == 0, l)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Split = PageTokens << rng.IntN(5)
		t.Run(fmt.Sprint(i), func(t *testing.T) { plan(t, rng, p, l, l.MaxRows, l.MaxContext>>rng.IntN(4)).check(t) })
	}
}

// A lone long sequence gets one wave of equal items, and many short ones none
// that are cut.
func TestWorkFillsTheDeviceOnce(t *testing.T) {
	l := Limits{MaxRows: 512, MaxSeqs: 256, MaxContext: 32768, SMs: 132}
	p, err := NewPlanner(32, 8, 128, 0, false, l)
	if err != nil {
		t.Fatal(err)
	}
	one := func(seqs ...int32) (Work, []int32) {
		c := p.Capacity(512)
		narrow := make([]int32, c.Narrow*ItemWords)
		return p.Plan(seqs, narrow, make([]int32, c.Wide*ItemWords), make([]int32, c.Merges*MergeWords)), narrow
	}
	w, narrow := one(0, 0, 1, 32768, 0)
	if blocks := w.Narrow * 8; blocks > 2*132 || blocks < 2*132*9/10 || w.Merges != 1 {
		t.Errorf("one sequence makes %d items for 132 multiprocessors, 8 blocks each, and %d merges", w.Narrow, w.Merges)
	}
	if first, last := narrow[4]-narrow[3], narrow[(w.Narrow-1)*ItemWords+4]-narrow[(w.Narrow-1)*ItemWords+3]; last*10 < first*9 {
		t.Errorf("items of %d to %d tokens", last, first)
	}
	var seqs []int32
	for i := range int32(256) {
		seqs = append(seqs, i, i, 1, 200, i*7)
	}
	if w, _ := one(seqs...); w != (Work{Narrow: 256}) {
		t.Errorf("256 short sequences make %+v", w)
	}
	if w, _ := one(0, 0, 512, 512, 0); w.Wide < 16 || w.Wide > 33 || w.Narrow != 0 {
		t.Errorf("a prompt of 512 makes %+v", w)
	}
}

// With Fixed a sequence is cut alike whoever else is there.
func TestFixedCutsDoNotDependOnNeighbours(t *testing.T) {
	l := Limits{MaxRows: 64, MaxSeqs: 64, MaxContext: 4096, SMs: 20}
	p, err := NewPlanner(8, 2, 64, 0, true, l)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		d := plan(t, rng, p, l, 64, 4096)
		for n := range len(d.seqs) / SeqWords {
			s := slices.Clone(d.seqs[n*SeqWords:][:SeqWords])
			c := p.Capacity(64)
			alone := planned{Planner: p, narrow: make([]int32, c.Narrow*ItemWords), wide: make([]int32, c.Wide*ItemWords)}
			alone.work = p.Plan(s, alone.narrow, alone.wide, make([]int32, c.Merges*MergeWords))
			cuts := func(d *planned) (all []string) {
				for _, w := range d.items() {
					if w[2] == s[4] && w[0] >= s[1] && w[0] < s[1]+s[2] {
						all = append(all, fmt.Sprint(w[:5]))
					}
				}
				slices.Sort(all)
				return all
			}
			if a, b := cuts(&alone), cuts(d); !slices.Equal(a, b) {
				t.Fatalf("sequence %v alone: %v, with others: %v", s, a, b)
			}
		}
	}
}

func TestPlanningAllocatesNothing(t *testing.T) {
	l := Limits{MaxRows: 64, MaxSeqs: 64, MaxContext: 4096, SMs: 20}
	p, _ := NewPlanner(8, 2, 64, 0, false, l)
	d := plan(t, rand.New(rand.NewPCG(5, 6)), p, l, 64, 4096)
	if n := testing.AllocsPerRun(10, func() { p.Plan(d.seqs, d.narrow, d.wide, d.merges) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
