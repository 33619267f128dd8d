package cuda

import (
	"cmp"
	"fmt"
	"slices"
	"unsafe"
)

// Planner cuts a step's attention into work items on the host, so that one grid,
// fixed by the bucket of rows, serves decoding, prompts and any mix of them, and
// long contexts are shared evenly among the device's multiprocessors.
//
// An item is a tile of consecutive rows of one sequence times a range of its
// tokens. A tile's rows are multiplied by the query heads that share a KV head:
// both are rows of the matrix product. There are two kinds:
//
//   - narrow: at most 16 rows of the product. Decoding, and short chunks where
//     few heads share. Each warp streams its own tokens (attention_decode.cu).
//   - wide: up to Planner.wideRows of them. Prompts (attention_prefill.cu).
//
// A tile whose tokens are cut into several items leaves partial results, which
// attention_combine.cu merges row by row; the others write their rows at once.
//
// Every step, after the batch's arrays are filled: call Plan with the arena's
// memory for Batch.Narrow, Wide and Merges (their capacities: Capacity), and
// write the three counts to the header's words. Latent attention has narrow
// items alone.
type Planner struct {
	Group  int // query heads that share a KV head
	Blocks int // blocks that an item has: KV heads, times the cuts of a group that no tile holds
	// Narrow and Wide are the rows that a tile has at most; Wide is 0 where all
	// items are narrow.
	Narrow, Wide int
	// Window is how many last positions the layer that sees most sees; 0: all.
	Window int
	// Split is the fewest tokens worth an item of their own, a multiple of PageTokens.
	Split int
	// Fixed cuts alike whatever else is in the batch, so that a row's result does
	// not depend on its neighbours: rows that are their sequence's only one every
	// fixedSplit tokens, others not at all.
	Fixed bool

	maxRows, maxSeqs, maxContext int
	wave                         int // items that keep the device busy once
}

// Words of an item: first row, rows, first entry of the page table, tokens from
// and to (from is a multiple of PageTokens), first partial slot or -1, the rows
// of its sequence, and the position of the first row. Words of a merge: row, its first slot, slots between its splits,
// splits.
const (
	ItemWords  = 8
	MergeWords = 4
)

// Limits is what a Planner must know of the backend.
type Limits struct {
	MaxRows, MaxSeqs, MaxContext int
	SMs                          int // multiprocessors of the device
}

// narrowRows is the rows of the matrix product in a narrow tile: one mma.
const narrowRows = 16

// NewPlanner is the Planner of attention with these heads.
func NewPlanner(heads, kvHeads, headDim, window int, fixed bool, l Limits) (*Planner, error) {
	if kvHeads < 1 || heads < kvHeads || heads%kvHeads != 0 {
		return nil, fmt.Errorf("cuda: attention with %d heads over %d", heads, kvHeads)
	}
	if !slices.Contains(headDims, headDim) {
		return nil, fmt.Errorf("cuda: attention with heads of %d, there are kernels for %v", headDim, headDims)
	}
	group, wide := heads/kvHeads, wideRows(headDim)
	p := &Planner{Group: group, Narrow: narrowRows / group, Wide: max(1, wide/group), Window: window, Split: 256, Fixed: fixed}
	p.Blocks = kvHeads * ceilDiv(group, wide)
	return p, p.limit(l)
}

// NewLatentPlanner is the Planner of latent attention: one KV head for all.
func NewLatentPlanner(heads int, fixed bool, l Limits) (*Planner, error) {
	if heads < 1 {
		return nil, fmt.Errorf("cuda: latent attention with %d heads", heads)
	}
	p := &Planner{Group: heads, Narrow: max(1, narrowRows/heads), Split: 256, Fixed: fixed}
	p.Blocks = ceilDiv(heads, narrowRows)
	return p, p.limit(l)
}

func (p *Planner) limit(l Limits) error {
	if l.MaxRows < 1 || l.MaxSeqs < 1 || l.MaxContext < 1 || l.SMs < 1 {
		return fmt.Errorf("cuda: attention for %+v", l)
	}
	p.maxRows, p.maxSeqs, p.maxContext = l.MaxRows, l.MaxSeqs, l.MaxContext
	p.wave = ceilDiv(2*l.SMs, p.Blocks) // two blocks fit a multiprocessor
	return nil
}

// Work counts the items of a step, or the most that a bucket can have.
type Work struct{ Narrow, Wide, Merges int }

// Capacity is the most work that a step of so many rows can have: the grids'
// sizes, and with MaxRows the arrays'.
func (p *Planner) Capacity(rows int) Work {
	var w Work
	if p.Narrow > 0 {
		tiles := min(rows, p.maxSeqs)
		if p.Wide == 0 {
			tiles = min(rows, p.maxSeqs+rows/p.Narrow)
		}
		cut := p.Narrow * min(tiles, ceilDiv(3*p.wave, 2)) // rows of tiles that are cut
		w.Narrow = min(tiles+ceilDiv(3*p.wave, 2), tiles*ceilDiv(p.maxContext, p.Split))
		if p.Fixed {
			cut = min(tiles, p.maxSeqs)
			w.Narrow = tiles + cut*(p.fixedSplits()-1)
		}
		w.Merges += cut
	}
	if p.Wide > 0 && rows > p.Narrow {
		tiles := rows/p.Wide + min(p.maxSeqs, rows/(p.Narrow+1))
		cut := p.Wide * min(tiles, p.wave/2)
		w.Wide = min(max(tiles, p.wave), tiles*ceilDiv(p.maxContext, p.Split))
		if p.Fixed {
			cut = min(tiles, p.maxSeqs)
			w.Wide = tiles + cut*(p.fixedSplits()-1)
		}
		w.Merges += cut
	}
	w.Merges = min(w.Merges, rows)
	if p.maxContext <= p.Split {
		w.Merges = 0 // nothing is long enough to be cut
	}
	return w
}

// Slots is how many rows of partial results a step can leave.
func (p *Planner) Slots() int {
	if p.Fixed {
		return p.maxSeqs * p.fixedSplits()
	}
	return 3*p.wave*p.Narrow + p.wave*p.Wide
}

// fixedSplit is how many tokens an item has at most where Fixed cuts: enough that
// a row has 16 items at the most.
func (p *Planner) fixedSplit() int {
	return max(p.Split, ceilDiv(ceilDiv(p.maxContext, 16), PageTokens)*PageTokens)
}

func (p *Planner) fixedSplits() int { return ceilDiv(p.maxContext, p.fixedSplit()) }

// PartialBytes is the scratch memory for partial results of heads of dim
// elements: float32 [Slots][heads][dim] and then [Slots][heads][2], the largest
// score and the divisor.
func (p *Planner) PartialBytes(heads, dim int) int64 {
	return int64(p.Slots()) * int64(heads) * int64(dim+2) * 4
}

// Plan writes the work of the sequences, [n][SeqWords], to the three arrays and
// counts it. It allocates nothing.
func (p *Planner) Plan(seqs, narrow, wide, merges []int32) Work {
	var n, w list
	n.words, w.words = narrow, wide
	for ; len(seqs) > 0; seqs = seqs[SeqWords:] {
		first, count, length, table := seqs[1], int(seqs[2]), seqs[3], seqs[4]
		into, size := &w, p.Wide
		if count <= p.Narrow || p.Wide == 0 {
			into, size = &n, p.Narrow
		}
		for at := 0; at < count; at += size {
			rows := min(size, count-at)
			to := int(length) - count + at + rows
			from := 0
			if p.Window > 0 {
				from = max(0, to-rows+1-p.Window) / PageTokens * PageTokens
			}
			into.add(item{first + int32(at), int32(rows), table, int32(from), int32(to), -1, int32(count), int32(to - rows)})
		}
	}
	m := merger{words: merges}
	p.split(&n, p.narrowBudget(n.n), &m)
	p.split(&w, max(w.n, p.wave*flagOf(2*w.n <= p.wave)), &m)
	return Work{n.n, w.n, m.n}
}

// narrowBudget is how many items so many narrow tiles may become: whole waves,
// at least half a wave more than there are tiles unless all fit one.
func (p *Planner) narrowBudget(tiles int) int {
	return p.wave * ceilDiv(2*tiles+p.wave, 2*p.wave)
}

func flagOf(v bool) int { return int(flag(v)) }

// item is what ItemWords hold.
type item struct{ row, rows, table, from, to, slot, count, pos int32 }

type list struct {
	words []int32
	n     int
}

func (l *list) add(i item) {
	l.set(l.n, i)
	l.n++
}

func (l *list) set(at int, i item) {
	copy(l.words[at*ItemWords:][:ItemWords], []int32{i.row, i.rows, i.table, i.from, i.to, i.slot, i.count, i.pos})
}

func (l *list) at(at int) item {
	w := l.words[at*ItemWords:]
	return item{w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]}
}

// merger hands out slots and lists the rows to be merged.
type merger struct {
	words    []int32
	n, slots int
}

// split cuts the longest tiles so that about as many items are left as the
// budget has, and orders them longest first, which evens out the last wave.
func (p *Planner) split(l *list, budget int, m *merger) {
	size := p.fixedSplit()
	if !p.Fixed {
		size = l.chunk(budget, p.Split)
	}
	for t, tiles := 0, l.n; t < tiles; t++ {
		i := l.at(t)
		splits := ceilDiv(int(i.to-i.from), size)
		if splits < 2 || p.Fixed && i.count > 1 {
			continue
		}
		end := i.to
		i.slot = int32(m.slots)
		for r := range i.rows {
			copy(m.words[m.n*MergeWords:], []int32{i.row + r, i.slot + r, i.rows, int32(splits)})
			m.n++
		}
		m.slots += splits * int(i.rows)
		for s := range splits {
			part := i
			part.from = i.from + int32(s*size)
			part.to = min(end, part.from+int32(size))
			part.slot += int32(s) * i.rows
			if s == 0 {
				l.set(t, part)
			} else {
				l.add(part)
			}
		}
	}
	l.sort()
}

// chunk is the least multiple of PageTokens, at least least, that cuts the
// tiles into no more items than the budget, or leaves all whole.
func (l *list) chunk(budget, least int) int {
	longest := 0
	for t := range l.n {
		i := l.at(t)
		longest = max(longest, int(i.to-i.from))
	}
	lo, hi := least/PageTokens, max(least, ceilDiv(longest, PageTokens)*PageTokens)/PageTokens
	for lo < hi {
		mid := (lo + hi) / 2
		items := 0
		for t := range l.n {
			i := l.at(t)
			items += ceilDiv(int(i.to-i.from), mid*PageTokens)
		}
		if items <= budget {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo * PageTokens
}

// sort puts items with more tokens first.
func (l *list) sort() {
	items := unsafe.Slice((*[ItemWords]int32)(unsafe.Pointer(unsafe.SliceData(l.words))), l.n)
	slices.SortStableFunc(items, func(a, b [ItemWords]int32) int { return cmp.Compare(b[4]-b[3], a[4]-a[3]) })
}
