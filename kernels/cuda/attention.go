package cuda

import (
	"fmt"
	"slices"
)

// headDims are the widths of heads that attention is compiled for, see
// attention_decode.cu and attention_prefill.cu.
var headDims = []int{16, 32, 64, 80, 96, 128, 256}

// Attention is paged attention of one layer, see backend.AttentionSpec.
type Attention struct {
	Heads  int
	Window int // 0: all
	Scale  float32
	Sinks  Ptr // float32 [Heads], 0: none
	KV     KV
	// Partials is scratch of Planner.PartialBytes(Heads, KV.HeadDim), a multiple
	// of 16; all layers may share it.
	Partials Ptr
}

// Launches reads the rows' queries from qkv, bf16 [rows][(Heads+2*KVHeads)*HeadDim],
// after StoreKV, and writes out, bf16 [rows][Heads*HeadDim]. p must be the
// Planner whose work lies in the batch.
//
// Narrow items are attention_decode.cu's, wide ones attention_prefill.cu's,
// merges attention_combine.cu's. All three are launched for every bucket in
// which they can have work. With narrowOnly the wide ones are left out: a bucket
// may have a second graph for steps whose Plan counted no wide item, which is
// every step that only decodes.
func (a Attention) Launches(b Batch, rows int, p *Planner, out, qkv Buffer, narrowOnly bool) ([]Launch, error) {
	if err := a.check(rows, p, out, qkv); err != nil {
		return nil, err
	}
	dim := a.KV.HeadDim
	w := p.Capacity(rows)
	args := func(items Ptr, count int) []uint64 {
		return []uint64{
			uint64(b.Header), Int(count), uint64(items), uint64(b.Pages),
			uint64(qkv.Ptr), uint64(a.KV.K), uint64(a.KV.V), uint64(out.Ptr), uint64(a.Partials), Int(p.Slots()), uint64(a.Sinks),
			Int(a.Heads), Int(a.KV.KVHeads), Int(a.Window), Float(a.Scale),
		}
	}
	var all []Launch
	if w.Narrow > 0 {
		all = append(all, Launch{
			Kernel: fmt.Sprintf("attention_decode_%d", dim),
			Grid:   [3]uint32{uint32(w.Narrow), uint32(a.KV.KVHeads), 1}, Block: block1(decodeWarps(dim) * 32),
			Shared: uint32(decodeShared(dim)), Args: args(b.Narrow, HeaderNarrow),
		})
	}
	if w.Wide > 0 && !narrowOnly {
		all = append(all, Launch{
			Kernel: fmt.Sprintf("attention_prefill_%d", dim),
			Grid:   [3]uint32{uint32(w.Wide), uint32(p.Blocks), 1}, Block: block1(prefillWarps * 32),
			Shared: uint32(prefillShared(dim)), Args: args(b.Wide, HeaderWide),
		})
	}
	return append(all, combine(b, w, p, out, a.Partials, a.Sinks, a.Heads, dim)...), nil
}

func (a Attention) check(rows int, p *Planner, out, qkv Buffer) error {
	const op = "attention"
	if err := firstError(checkRows(op, rows), out.check("attention's out"), qkv.check("attention's qkv"), a.KV.check(op)); err != nil {
		return err
	}
	dim := a.KV.HeadDim
	switch {
	case !slices.Contains(headDims, dim):
		return fmt.Errorf("cuda: %s: heads of %d, there are kernels for %v", op, dim, headDims)
	case qkv.Elem != ElemBF16 || out.Elem != ElemBF16:
		return fmt.Errorf("cuda: %s: rows of %v into %v", op, qkv.Elem, out.Elem)
	case p.Group*a.KV.KVHeads != a.Heads || p.Wide == 0:
		return fmt.Errorf("cuda: %s: %d heads over %d, work planned for groups of %d", op, a.Heads, a.KV.KVHeads, p.Group)
	case qkv.Cols != (a.Heads+2*a.KV.KVHeads)*dim || out.Cols != a.Heads*dim:
		return fmt.Errorf("cuda: %s: rows of %d into %d for %d and %d heads of %d", op, qkv.Cols, out.Cols, a.Heads, a.KV.KVHeads, dim)
	case a.Partials == 0 || a.Partials%16 != 0:
		return fmt.Errorf("cuda: %s: scratch at %#x", op, a.Partials)
	case a.Window < 0 || p.Window > 0 && (a.Window == 0 || a.Window > p.Window):
		return fmt.Errorf("cuda: %s: a window of %d, work planned for at most %d", op, a.Window, p.Window)
	}
	return nil
}

// combine merges the rows whose tokens were cut, where the bucket can have any;
// sinks may be 0.
func combine(b Batch, w Work, p *Planner, out Buffer, partials, sinks Ptr, heads, dim int) []Launch {
	const warps = 4 // a head each
	if w.Merges == 0 {
		return nil
	}
	return []Launch{{
		Kernel: "attention_combine", Grid: [3]uint32{uint32(w.Merges), uint32(ceilDiv(heads, warps)), 1}, Block: block1(32 * warps),
		Args: []uint64{
			uint64(b.Header), uint64(b.Merges), uint64(partials), Int(p.Slots()), uint64(sinks), uint64(out.Ptr), Int(heads), Int(dim),
		},
	}}
}

// Attention's shared memory, as the kernels lay it out.

const prefillWarps = 4

// wideRows is the rows of the matrix product in a wide tile: 16 a warp and set.
func wideRows(headDim int) int {
	if headDim < 32 || headDim > 128 {
		return 16 * prefillWarps
	}
	return 2 * 16 * prefillWarps
}

// decodeWarps and decodeStages: each warp has a ring of stages of 16 tokens' K and V.
func decodeWarps(headDim int) int {
	if headDim > 128 {
		return 2
	}
	return 4
}

const decodeStages = 3

// decodeShared: the rings. The warps' results, which lie over them in the end, take less.
func decodeShared(headDim int) int {
	return decodeWarps(headDim) * decodeStages * 2 * 16 * headDim * 2
}

// prefillTokens is the tokens of a wide tile's step.
func prefillTokens(headDim int) int {
	if headDim > 80 { // more do not fit the registers
		return 32
	}
	return 64
}

// prefillShared: the queries and two stages of K and V.
func prefillShared(headDim int) int {
	return wideRows(headDim)*headDim*2 + 2*2*prefillTokens(headDim)*headDim*2
}
