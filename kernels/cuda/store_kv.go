package cuda

import "fmt"

// Rope is a rotary table on the device: Cos and Sin are float32
// [MaxContext][Rotary/2], the scale multiplied in. See backend.RopeSpec for
// which elements are a pair.
type Rope struct {
	Cos, Sin    Ptr
	Rotary      int // elements that are rotated, a multiple of 4; 0: none
	Interleaved bool
}

func (r Rope) check(op string, width int) error {
	if r.Rotary < 0 || r.Rotary > width || r.Rotary%4 != 0 {
		return fmt.Errorf("cuda: %s: %d rotary elements of %d, must be a multiple of 4", op, r.Rotary, width)
	}
	if r.Rotary > 0 && (r.Cos == 0 || r.Sin == 0) {
		return fmt.Errorf("cuda: %s: a rotary table without memory", op)
	}
	return nil
}

// KV is one layer's pages: K and V are bf16 [page][KVHeads][PageTokens][HeadDim].
type KV struct {
	K, V             Ptr
	KVHeads, HeadDim int
}

func (kv KV) check(op string) error {
	if kv.K == 0 || kv.V == 0 || kv.K%16 != 0 || kv.V%16 != 0 || kv.KVHeads < 1 || kv.HeadDim < 1 {
		return fmt.Errorf("cuda: %s: pages at %#x and %#x for %d heads of %d", op, kv.K, kv.V, kv.KVHeads, kv.HeadDim)
	}
	return nil
}

// QKNorm is the RMSNorm of each head's queries and keys: float32 [HeadDim], 0:
// none.
type QKNorm struct {
	Q, K Ptr
	Eps  float32
}

// StoreKV launches store_kv.cu: it normalises and rotates q and k in place in
// the qkv rows, bf16 [Heads+2*KVHeads][HeadDim], and writes k and v of each row
// to the row's page.
func StoreKV(b Batch, rows int, qkv Buffer, kv KV, heads int, norm QKNorm, rope Rope) (Launch, error) {
	const op = "store_kv"
	if err := firstError(checkRows(op, rows), qkv.check("store_kv's qkv"), kv.check(op), rope.check(op, kv.HeadDim)); err != nil {
		return Launch{}, err
	}
	all := heads + 2*kv.KVHeads
	switch {
	case qkv.Elem != ElemBF16:
		return Launch{}, fmt.Errorf("cuda: %s: qkv rows of %v", op, qkv.Elem)
	case heads < 1 || qkv.Cols != all*kv.HeadDim:
		return Launch{}, fmt.Errorf("cuda: %s: rows of %d for %d and %d heads of %d", op, qkv.Cols, heads, kv.KVHeads, kv.HeadDim)
	case kv.HeadDim%8 != 0 || kv.HeadDim > 256:
		return Launch{}, fmt.Errorf("cuda: %s: heads of %d, must be a multiple of 8 up to 256", op, kv.HeadDim)
	}
	const warps = 4 // a head each
	return Launch{
		Kernel: op, Grid: [3]uint32{uint32(rows), uint32(ceilDiv(all, warps)), 1}, Block: block1(32 * warps),
		Args: []uint64{
			uint64(b.Header), uint64(b.Pos), uint64(b.Seq), uint64(b.Seqs), uint64(b.Pages),
			uint64(qkv.Ptr), uint64(kv.K), uint64(kv.V), uint64(norm.Q), uint64(norm.K), Float(norm.Eps),
			uint64(rope.Cos), uint64(rope.Sin), Int(rope.Rotary), flag(rope.Interleaved),
			Int(heads), Int(kv.KVHeads), Int(kv.HeadDim),
		},
	}, nil
}

// flag is a bool as a launch argument: the kernel's parameter is an int.
func flag(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}
