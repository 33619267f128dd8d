package cuda

import "fmt"

// Gemm launches gemm.cu: out[r] = x[r]·Wᵀ + b, or out[r] += … with add, for a
// row-major bfloat16 matrix w of [n][stride] with k columns: weights that are
// Dense, or what Dequant wrote. x is bfloat16, bias float32 [n] or 0. It is for
// many rows, where no BLAS is at hand.
func Gemm(b Batch, rows int, out, x Buffer, w Ptr, n, k, stride int, bias Ptr, add bool) (Launch, error) {
	if err := firstError(checkRows("gemm", rows), out.check("gemm's out"), x.check("gemm's x")); err != nil {
		return Launch{}, err
	}
	switch {
	case x.Elem != ElemBF16 || (add && out.Elem != ElemF32):
		return Launch{}, fmt.Errorf("cuda: gemm: from %v into %v, add %v", x.Elem, out.Elem, add)
	case w == 0 || w%16 != 0 || n < 1 || k < 1 || stride < k || stride%8 != 0 || x.Cols < k || out.Cols < n:
		return Launch{}, fmt.Errorf("cuda: gemm: %d×%d of stride %d at %#x, from %d columns into %d", n, k, stride, w, x.Cols, out.Cols)
	}
	store := storeBF16
	if out.Elem == ElemF32 {
		store = storeF32
	}
	if add {
		store = addF32
	}
	tile := 128
	if rows <= 64 || ceilDiv(rows, 128)*ceilDiv(n, 128) < gemmNarrowBlocks {
		tile = 64
	}
	return Launch{
		Kernel: fmt.Sprintf("gemm_%d", tile),
		Grid:   [3]uint32{uint32(ceilDiv(rows, tile)), uint32(ceilDiv(n, 128)), 1},
		Block:  block1(256),
		Shared: uint32(gemmStages * (tile + 128) * gemmDepth * 2),
		Args: []uint64{
			uint64(b.Header), uint64(out.Ptr), Int(store), Int(out.Cols), uint64(x.Ptr), Int(x.Cols),
			uint64(w), Int(stride), Int(n), Int(k), uint64(bias),
		},
	}, nil
}

// A block of gemm.cu multiplies 128 or 64 rows by 128 columns, 32 deep, with
// four tiles of each under way. Below gemmNarrowBlocks of the large ones the
// small ones fill a device better.
const (
	gemmDepth        = 32
	gemmStages       = 4
	gemmNarrowBlocks = 128
)
