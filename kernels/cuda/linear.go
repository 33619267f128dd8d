package cuda

import "fmt"

// Scratch is what splitting a sum over blocks takes of a device. Launches of one
// stream share it.
type Scratch struct {
	SMs      int // multiprocessors
	Partials Ptr // ScratchBytes' first
	Counters Ptr // and second; zero before the first launch, and after each
	// Whole never splits a sum, so that a row's bits do not depend on the number of
	// rows; small matrices are slower for it.
	Whole bool
}

// ScratchBytes is the size of a device's Partials and Counters.
func ScratchBytes(sms int) (partials, counters int64) {
	blocks := int64(targetBlocks(sms))
	return blocks * linearRows * maxTokens * 4, blocks * 4
}

// A block of linear.cuh has four warps of a tile each and takes 8, 16, 32 or 64
// tokens at once.
const (
	linearThreads = 128
	linearRows    = linearThreads / 32 * tileRows
	maxTokens     = 64
)

// SkinnyRows is up to how many rows Linear reads the weights once. Above, its
// grid repeats for every 64 rows.
const SkinnyRows = maxTokens

// FusedRows is up to how many rows Linear and GatedLinear are the way to multiply
// where no BLAS takes the weights as they are. Above, a dense product (Gemm, or a
// BLAS, after Dequant) pays, though unpacking moves some five bytes a weight.
func (w Weights) FusedRows() int {
	if _, _, _, dense := w.Dense(); dense {
		return SkinnyRows
	}
	return 2 * SkinnyRows
}

// Activation is the function of a gated matrix's outputs: Silu or ClampedSwiGLU
// with its constants.
type Activation struct {
	Kind         int
	Alpha, Limit float32
}

// What a linear kernel does with its sums.
const (
	storeBF16 = iota
	storeF32
	addF32
)

// Linear launches linear_….cu: out[r] = x[r]·Wᵀ + b, or out[r] += … with add,
// one launch for each part of w. Elements of x may be of either type; x may
// have more columns than w. With add, out is float32.
func Linear(b Batch, s Scratch, rows int, out, x Buffer, w Weights, add bool) ([]Launch, error) {
	if w.Gated {
		return nil, fmt.Errorf("cuda: linear: the matrix is gated")
	}
	return linear{op: "linear", batch: b, scratch: s, rows: rows, out: out, x: x, w: w, add: add}.launches()
}

// GatedLinear launches linear_….cu: out[r] = act(x[r]·Wgᵀ + bg, x[r]·Wuᵀ + bu)
// of a gated matrix; out is bfloat16.
func GatedLinear(b Batch, s Scratch, rows int, out, x Buffer, w Weights, act Activation) ([]Launch, error) {
	if !w.Gated {
		return nil, fmt.Errorf("cuda: gated linear: the matrix is not gated")
	}
	return linear{op: "gated linear", batch: b, scratch: s, rows: rows, out: out, x: x, w: w, act: &act}.launches()
}

// Heads says where HeadLinear finds a head's input and puts its output, as
// backend.HeadSpec.
type Heads struct{ XOffset, XStride, OutStride int }

// HeadLinear launches linear_….cu over a stack: for every matrix h of w,
// out[r][h*OutStride:] = x[r][h*XStride+XOffset:] · W_hᵀ.
func HeadLinear(b Batch, s Scratch, rows int, out, x Buffer, w Weights, h Heads) ([]Launch, error) {
	last := w.Count - 1
	if w.Gated || h.XOffset < 0 || h.XStride < 0 || h.OutStride < 0 ||
		last*h.XStride+h.XOffset+w.In > x.Cols || last*h.OutStride+w.Out > out.Cols {
		return nil, fmt.Errorf("cuda: head linear: %d matrices of %d×%d, %+v, from %d columns into %d", w.Count, w.Out, w.In, h, x.Cols, out.Cols)
	}
	return linear{op: "head linear", batch: b, scratch: s, rows: rows, out: out, x: x, w: w, heads: &h}.launches()
}

// linear is a product in the making.
type linear struct {
	op      string
	batch   Batch
	scratch Scratch
	rows    int
	out, x  Buffer
	w       Weights
	add     bool
	act     *Activation
	heads   *Heads
	work    *work // the pieces of experts' work, nil: all rows of each matrix
}

// work is a list of pieces, made by sort_pairs.cu: matrix, first slot, number
// of slots. A slot's input is row list[slot] of x, row slot where there is no list.
type work struct {
	items  Ptr // [1+most][itemWords] int32; the first word is how many there are
	list   Ptr
	most   int
	tokens int // most slots of a piece: 8, 16, 32 or 64
}

func (l linear) check() error {
	if err := firstError(checkRows(l.op, l.rows), l.out.check(l.op+"'s out"), l.x.check(l.op+"'s x")); err != nil {
		return err
	}
	w := l.w
	switch {
	case w.Ptr == 0 || w.Ptr%256 != 0 || w.Count < 1 || len(w.Parts) == 0:
		return fmt.Errorf("cuda: %s: %d matrices at %#x", l.op, w.Count, w.Ptr)
	case w.Count > 1 && l.heads == nil && l.work == nil:
		return fmt.Errorf("cuda: %s: a stack of %d matrices", l.op, w.Count)
	case l.x.Cols < w.In || l.out.Cols < w.Out:
		return fmt.Errorf("cuda: %s: %d×%d from %d columns into %d", l.op, w.Out, w.In, l.x.Cols, l.out.Cols)
	case l.add && l.out.Elem != ElemF32:
		return fmt.Errorf("cuda: %s: adds to %v", l.op, l.out.Elem)
	case l.act != nil && (l.out.Elem != ElemBF16 || l.act.Kind < Silu || l.act.Kind > ClampedSwiGLU):
		return fmt.Errorf("cuda: %s: activation %d into %v", l.op, l.act.Kind, l.out.Elem)
	case l.scratch.SMs < 1 || l.scratch.Partials == 0 || l.scratch.Partials%16 != 0 || l.scratch.Counters == 0:
		return fmt.Errorf("cuda: %s: scratch %+v", l.op, l.scratch)
	}
	return nil
}

func (l linear) launches() ([]Launch, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	launches := make([]Launch, len(l.w.Parts))
	for i, p := range l.w.Parts {
		launches[i] = l.launch(p)
	}
	return launches, nil
}

// launch multiplies with one part. Blocks along x take a piece of work, a matrix and
// some tokens, along y a slice of its columns, along z 64 of its rows.
func (l linear) launch(p Part) Launch {
	tokens, pieces := tokenTile(l.rows), 0
	var items, list Ptr
	if l.work != nil {
		tokens, pieces, items, list = l.work.tokens, l.work.most, l.work.items, l.work.list
	} else {
		pieces = ceilDiv(l.rows, tokens) * l.w.Count
	}
	store := storeBF16
	if l.out.Elem == ElemF32 {
		store = storeF32
	}
	if l.add {
		store = addF32
	}
	heads := Heads{}
	if l.heads != nil {
		heads = *l.heads
	}
	gate, alpha, limit, rows, width := 0, float32(0), float32(0), p.Rows, p.Rows
	if l.act != nil {
		gate, alpha, limit, width = 1+l.act.Kind, l.act.Alpha, l.act.Limit, l.w.Out
	}
	steps := ceilDiv(l.w.In, stepCols)
	tiles := ceilDiv(p.padded(), linearRows)
	splits, slice := 1, steps
	if !l.scratch.Whole {
		splits, slice = split(l.scratch.SMs, tiles*pieces, steps)
	}
	base := l.w.Ptr
	var side, bias Ptr
	if formats[p.Format].side != 0 {
		side = base + Ptr(p.Side)
	}
	if p.Bias >= 0 {
		bias = base + Ptr(p.Bias)
	}
	return Launch{
		Kernel: fmt.Sprintf("linear_%v_%d", p.Format, tokens),
		Grid:   [3]uint32{uint32(pieces), uint32(splits), uint32(tiles)},
		Block:  block1(linearThreads),
		Args: []uint64{
			uint64(l.batch.Header),
			uint64(base + Ptr(p.Offset)), uint64(side), uint64(bias), uint64(l.w.Bytes), // of the first matrix; to the next
			Int(p.SideShift), Int(p.SideStride),
			Int(rows), Int(l.w.In), Int(l.w.Count),
			uint64(l.x.Ptr), Int(int(l.x.Elem)), Int(l.x.Cols), Int(heads.XOffset), Int(heads.XStride),
			uint64(l.out.Ptr), Int(store), Int(l.out.Cols), Int(p.First), Int(heads.OutStride), Int(width),
			Int(gate), Float(alpha), Float(limit),
			uint64(l.scratch.Partials), uint64(l.scratch.Counters), Int(slice),
			uint64(items), uint64(list),
		},
	}
}

// tokenTile is how many tokens a block takes at once.
func tokenTile(rows int) int {
	for _, tokens := range []int{8, 16, 32} {
		if rows <= tokens {
			return tokens
		}
	}
	return maxTokens
}

// targetBlocks is how many blocks keep a device's memory busy: each thread has
// four 16-byte loads under way.
func targetBlocks(sms int) int { return 4 * sms }

// split divides a sum's steps over blocks where there are too few of them. Each
// slice has at least four steps; the number of slices does not depend on the
// rows of a batch up to SkinnyRows.
func split(sms, blocks, steps int) (splits, slice int) {
	splits = max(1, min(targetBlocks(sms)/blocks, steps/4))
	slice = ceilDiv(steps, splits)
	return ceilDiv(steps, slice), slice
}
