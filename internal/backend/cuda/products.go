//go:build cuda && cgo && linux

package cuda

import (
	"errors"

	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// How a matrix product is done:
//
//  1. Up to skinnyRows rows (few where a BLAS can take over, for it only knows
//     bfloat16): kernels.Linear, which streams packed weights of any format.
//  2. More: the weights as a dense bfloat16 matrix, which those of other formats
//     are unpacked to first, times the rows in bfloat16: cuBLASLt where it is
//     there and has an algorithm, kernels.Gemm otherwise.
//
// With Options.BatchInvariant all is done as 1, and no sum is split.

// blasRows is up to how many rows Linear is used though a BLAS could take over.
const blasRows = 16

// blasSpace is the workspace that cuBLASLt may use.
const blasSpace = 32 << 20

// products is the scratch memory of matrix products, which all layers share.
type products struct {
	scratch kernels.Scratch
	dense   kernels.Ptr // a matrix unpacked to bfloat16
	cast    kernels.Ptr // rows rounded to bfloat16
	wide    kernels.Ptr // gate and up side by side
	space   kernels.Ptr // cuBLASLt's workspace; 0: there is no BLAS
	experts kernels.Ptr // what passes between the kernels of a layer's experts
}

// allocateProducts makes the scratch memory, as large as the largest matrix needs
// it in the largest bucket.
func (b *Backend) allocateProducts() error {
	sms := b.mem.dev.Info.SMs
	partials, counters := kernels.ScratchBytes(sms)
	p := &b.products
	p.scratch.SMs, p.scratch.Whole = sms, b.opt.BatchInvariant
	if err := b.mem.make(&p.scratch.Partials, activationMemory, partials); err != nil {
		return err
	}
	if err := b.mem.make(&p.scratch.Counters, activationMemory, counters); err != nil {
		return err
	}
	if err := b.stream.Memset(p.scratch.Counters, 0, counters); err != nil {
		return err
	}
	var dense, cast, wide int64
	for _, l := range b.linears {
		if !b.goesDense(b.cfg.MaxRows, l) {
			continue
		}
		if _, _, _, ok := l.weights.Dense(); !ok {
			dense = max(dense, l.weights.DenseBytes())
		}
		cast = max(cast, 2*int64(b.cfg.MaxRows)*int64(l.in))
		if l.gated {
			wide = max(wide, 2*int64(b.cfg.MaxRows)*int64(denseRows(l.weights)))
		}
	}
	for _, part := range []struct {
		at    *kernels.Ptr
		bytes int64
	}{{&p.dense, dense}, {&p.cast, cast}, {&p.wide, wide}} {
		if part.bytes == 0 {
			continue
		}
		if err := b.mem.make(part.at, activationMemory, part.bytes); err != nil {
			return err
		}
	}
	if b.blas != nil {
		return b.mem.make(&p.space, activationMemory, blasSpace)
	}
	return nil
}

// goesDense reports whether so many rows times l are done as 2.
func (b *Backend) goesDense(rows int, l *linear) bool {
	if b.opt.BatchInvariant {
		return false
	}
	_, _, stride, dense := l.weights.Dense()
	if b.blas != nil && dense && stride == l.in {
		return rows > blasRows
	}
	return rows > l.weights.FusedRows()
}

// denseRows is the rows of the row-major form: those of a gated matrix come in
// groups of eight and eight.
func denseRows(w kernels.Weights) int {
	last := w.Parts[len(w.Parts)-1]
	return last.First + last.Rows
}

// matmul is out = x·Wᵀ + b, or out += … with add.
func (e *emitter) matmul(out, x kernels.Buffer, l *linear, add bool) error {
	if !e.b.goesDense(e.rows, l) {
		return e.launch(kernels.Linear(e.batch, e.b.products.scratch, e.rows, out, x, l.weights, add))
	}
	return e.dense(out, x, l, l.bias, add)
}

// gated is out = act(x·Wgᵀ + bg, x·Wuᵀ + bu).
func (e *emitter) gated(out, x kernels.Buffer, l *linear, act kernels.Activation) error {
	p := &e.b.products
	if !e.b.goesDense(e.rows, l) {
		return e.launch(kernels.GatedLinear(e.batch, p.scratch, e.rows, out, x, l.weights, act))
	}
	wide := kernels.Buffer{Ptr: p.wide, Elem: kernels.ElemBF16, Cols: denseRows(l.weights)}
	if err := e.dense(wide, x, l, bias{}, false); err != nil {
		return err
	}
	return e.one(kernels.ActivateInterleaved(e.batch, e.rows, out, wide, l.bias.float, act))
}

// bias is a matrix's bias on the device, twice; 0: none.
type bias struct{ float, half kernels.Ptr }

// dense multiplies with the row-major form of l.
func (e *emitter) dense(out, x kernels.Buffer, l *linear, bias bias, add bool) error {
	p := &e.b.products
	if x.Elem != kernels.ElemBF16 {
		half := kernels.Buffer{Ptr: p.cast, Elem: kernels.ElemBF16, Cols: x.Cols}
		if err := e.one(kernels.Cast(e.batch, e.rows, half, x)); err != nil {
			return err
		}
		x = half
	}
	w, rows, stride, ok := l.weights.Dense()
	if !ok {
		var launches []kernels.Launch
		var err error
		if launches, rows, stride, err = kernels.Dequant(l.weights, 0, p.dense); err != nil {
			return err
		}
		w = p.dense
		if err := e.launch(launches, nil); err != nil {
			return err
		}
	}
	if done, err := e.byBLAS(out, x, w, rows, l.in, stride, bias, add); done || err != nil {
		return err
	}
	return e.one(kernels.Gemm(e.batch, e.rows, out, x, w, rows, l.in, stride, bias.float, add))
}

// byBLAS enqueues the product on cuBLASLt, unless there is none or it has no
// algorithm for it.
func (e *emitter) byBLAS(out, x kernels.Buffer, w kernels.Ptr, n, k, stride int, bias bias, add bool) (done bool, err error) {
	b := e.b
	if b.blas == nil || stride != k {
		return false, nil
	}
	mul := driver.MatMul{
		M: e.rows, N: n, K: k, XStride: x.Cols, YStride: out.Cols, Float32: out.Elem == kernels.ElemF32,
		Bias: bias.float != 0, Space: blasSpace,
	}
	plan, err := b.blas.Plan(mul)
	var refused *driver.Error
	if errors.As(err, &refused) && refused.Code == blasNotSupported {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	beta, add1 := float32(0), bias.half
	if add {
		beta = 1
	}
	if mul.Float32 {
		add1 = bias.float
	}
	return true, e.call(func(on *driver.Stream) error {
		return plan.Enqueue(on, x.Ptr, w, out.Ptr, add1, beta, b.products.space, blasSpace)
	})
}

// blasNotSupported is CUBLAS_STATUS_NOT_SUPPORTED.
const blasNotSupported = 15
