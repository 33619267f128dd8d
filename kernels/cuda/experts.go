package cuda

import "fmt"

// itemWords is the ints of a piece of experts' work: expert, first slot, slots, 0.
const itemWords = 4

// expertsPlan is how a layer's experts share out rows' pairs (row, k), and where
// what passes between the kernels lies in the scratch memory.
type expertsPlan struct {
	pairs  int
	tokens int // most slots of a piece
	pieces int // most pieces

	slots, list, items, hidden, results int64 // offsets
	bytes                               int64
}

func planExperts(rows int, by Routing, inner, out int) expertsPlan {
	p := expertsPlan{pairs: rows * by.TopK}
	busy := min(by.Experts, p.pairs)
	p.tokens = tokenTile(min(rows, 2*ceilDiv(p.pairs, by.Experts)))
	p.pieces = min(busy+p.pairs/p.tokens, p.pairs)
	place := func(bytes int) int64 {
		at := p.bytes
		p.bytes += int64(ceilDiv(bytes, 256) * 256)
		return at
	}
	p.slots = place(p.pairs * 4)
	p.list = place(p.pairs * 4)
	p.items = place((1 + p.pieces) * itemWords * 4)
	p.hidden = place(p.pairs * inner * 2)
	p.results = place(p.pairs * out * 2)
	return p
}

// ExpertsBytes is the scratch memory that Experts takes for a bucket of rows,
// with experts of inner columns between their matrices and out behind them. It
// grows with rows; layers may share it.
func ExpertsBytes(rows int, by Routing, inner, out int) int64 {
	return planExperts(rows, by, inner, out).bytes
}

// Experts launches sort_pairs.cu, linear_….cu for each of the two matrices and
// combine_experts.cu: out[r] = Σ g·(down_e·act(gateUp_e·x[r] + b) + b) over row
// r's experts e with weights g, or out[r] += … with add. memory has ExpertsBytes.
func Experts(b Batch, s Scratch, rows int, out, x Buffer, by Routing, gateUp, down Weights, act Activation, add bool, memory Ptr) ([]Launch, error) {
	if err := firstError(checkRows("experts", rows), out.check("experts' out"), x.check("experts' x"), by.check("experts")); err != nil {
		return nil, err
	}
	switch {
	case memory == 0 || memory%256 != 0:
		return nil, fmt.Errorf("cuda: experts: scratch memory at %#x", memory)
	case !gateUp.Gated || down.Gated || gateUp.Count != by.Experts || down.Count != by.Experts || gateUp.Out != down.In || out.Cols != down.Out:
		return nil, fmt.Errorf("cuda: experts: %d of %d×%d, then %d of %d×%d, for %d experts into %d columns",
			gateUp.Count, gateUp.Out, gateUp.In, down.Count, down.Out, down.In, by.Experts, out.Cols)
	case add && out.Elem != ElemF32:
		return nil, fmt.Errorf("cuda: experts: add to %v", out.Elem)
	}
	p := planExperts(rows, by, down.In, down.Out)
	at := func(offset int64) Ptr { return memory + Ptr(offset) }
	hidden := Buffer{Ptr: at(p.hidden), Elem: ElemBF16, Cols: down.In}
	results := Buffer{Ptr: at(p.results), Elem: ElemBF16, Cols: down.Out}

	launches := []Launch{{
		Kernel: "sort_pairs", Grid: grid1(1), Block: block1(sortThreads),
		Args: []uint64{
			uint64(b.Header), uint64(by.IDs), Int(by.Experts), Int(by.TopK), Int(p.tokens),
			uint64(at(p.slots)), uint64(at(p.list)), uint64(at(p.items)),
		},
	}}
	for _, l := range []linear{
		{op: "experts' first", out: hidden, x: x, w: gateUp, act: &act, work: &work{list: at(p.list)}},
		{op: "experts' second", out: results, x: hidden, w: down, work: &work{}},
	} {
		l.batch, l.scratch, l.rows = b, s, rows
		l.work.items, l.work.most, l.work.tokens = at(p.items), p.pieces, p.tokens
		more, err := l.launches()
		if err != nil {
			return nil, err
		}
		launches = append(launches, more...)
	}
	store := storeBF16
	if out.Elem == ElemF32 {
		store = storeF32
	}
	if add {
		store = addF32
	}
	return append(launches, Launch{
		Kernel: "combine_experts", Grid: elementGrid(rows, out.Cols), Block: block1(elementThreads),
		Args: []uint64{
			uint64(b.Header), uint64(out.Ptr), Int(store), Int(out.Cols), uint64(results.Ptr),
			uint64(at(p.slots)), uint64(by.Weights), Int(by.TopK),
		},
	}), nil
}

// sortThreads is the block of sort_pairs.cu: at least a thread an expert.
const sortThreads = 1024
