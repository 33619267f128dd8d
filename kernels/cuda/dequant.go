package cuda

import "fmt"

// Dequant launches dequant.cu, a launch for each part: it writes matrix i of w
// as row-major bfloat16 [rows][stride] to dst, DenseBytes in all, which Gemm and
// cuBLASLt multiply with. Rows of a gated matrix stay interleaved.
func Dequant(w Weights, i int, dst Ptr) (launches []Launch, rows, stride int, err error) {
	if w.Ptr == 0 || i < 0 || i >= w.Count || dst == 0 || dst%16 != 0 {
		return nil, 0, 0, fmt.Errorf("cuda: dequant: matrix %d of %d at %#x to %#x", i, w.Count, w.Ptr, dst)
	}
	base := w.Ptr + Ptr(int64(i)*w.Bytes)
	for _, p := range w.Parts {
		var side Ptr
		if formats[p.Format].side != 0 {
			side = base + Ptr(p.Side)
		}
		launches = append(launches, Launch{
			Kernel: fmt.Sprintf("dequant_%v", p.Format),
			Grid:   [3]uint32{uint32(ceilDiv(ceilDiv(w.In, stepCols), 4)), uint32(p.padded() / tileRows), 1},
			Block:  block1(linearThreads),
			Args: []uint64{
				uint64(base + Ptr(p.Offset)), uint64(side), Int(p.SideShift), Int(p.SideStride), Int(p.Rows), Int(w.In),
				uint64(dst + Ptr(p.First*w.stride()*2)), Int(w.stride()),
			},
		})
	}
	return launches, w.rows(), w.stride(), nil
}

// ActivateInterleaved launches activate_interleaved.cu: Activate of the product
// with a gated matrix in its row-major form, where gate and up alternate by
// eight columns; bias is the matrix's (Part.Bias) or 0. It is what a BLAS leaves
// to do of GatedLinear.
func ActivateInterleaved(b Batch, rows int, out, x Buffer, bias Ptr, act Activation) (Launch, error) {
	if err := firstError(checkRows("interleaved activation", rows), out.check("interleaved activation's out"), x.check("interleaved activation's x")); err != nil {
		return Launch{}, err
	}
	if x.Cols < ceilDiv(out.Cols, 8)*16 || x.Cols%8 != 0 || out.Elem != ElemBF16 || act.Kind < Silu || act.Kind > ClampedSwiGLU {
		return Launch{}, fmt.Errorf("cuda: interleaved activation %d of %d columns into %d of %v", act.Kind, x.Cols, out.Cols, out.Elem)
	}
	return Launch{
		Kernel: fmt.Sprintf("activate_interleaved_%v", x.Elem), Grid: elementGrid(rows, out.Cols), Block: block1(elementThreads),
		Args: []uint64{
			uint64(b.Header), uint64(out.Ptr), Int(out.Cols), uint64(x.Ptr), Int(x.Cols), uint64(bias),
			Int(act.Kind), Float(act.Alpha), Float(act.Limit),
		},
	}, nil
}
