package cuda

import "fmt"

// Kinds of activation, in the order of backend.ActivationKind.
const (
	Silu = iota
	ClampedSwiGLU
)

// Activate launches activation.cu: out[r][i] = act(gate)*up with gate =
// x[r][i] and up = x[r][n+i]; x has 2n columns, gate's and then up's, out n.
// alpha and limit are ClampedSwiGLU's.
func Activate(b Batch, rows int, out, x Buffer, kind int, alpha, limit float32) (Launch, error) {
	if err := firstError(checkRows("activation", rows), out.check("activation's out"), x.check("activation's x")); err != nil {
		return Launch{}, err
	}
	if x.Cols != 2*out.Cols || kind < Silu || kind > ClampedSwiGLU {
		return Launch{}, fmt.Errorf("cuda: activation %d of %d columns into %d", kind, x.Cols, out.Cols)
	}
	return Launch{
		Kernel: fmt.Sprintf("activation_%v_%v", x.Elem, out.Elem), Grid: elementGrid(rows, out.Cols), Block: block1(elementThreads),
		Args: []uint64{uint64(b.Header), uint64(out.Ptr), uint64(x.Ptr), Int(out.Cols), Int(kind), Float(alpha), Float(limit)},
	}, nil
}

// Cast launches cast.cu: out = x in out's elements, rounded to nearest even.
func Cast(b Batch, rows int, out, x Buffer) (Launch, error) {
	return elementwise("cast", b, rows, out, x)
}

// Add launches add.cu: out += x. out is float32 usually: the residual stream.
func Add(b Batch, rows int, out, x Buffer) (Launch, error) {
	return elementwise("add", b, rows, out, x)
}

func elementwise(op string, b Batch, rows int, out, x Buffer) (Launch, error) {
	if err := firstError(checkRows(op, rows), out.check(op+"'s out"), x.check(op+"'s x")); err != nil {
		return Launch{}, err
	}
	if x.Cols != out.Cols {
		return Launch{}, fmt.Errorf("cuda: %s: %d columns into %d", op, x.Cols, out.Cols)
	}
	return Launch{
		Kernel: fmt.Sprintf("%s_%v_%v", op, x.Elem, out.Elem), Grid: elementGrid(rows, out.Cols), Block: block1(elementThreads),
		Args: []uint64{uint64(b.Header), uint64(out.Ptr), uint64(x.Ptr), Int(out.Cols)},
	}, nil
}

const elementThreads = 256

// elementGrid has a row a block along x and eight elements a thread along y.
func elementGrid(rows, cols int) [3]uint32 {
	return [3]uint32{uint32(rows), uint32(ceilDiv(cols, 8*elementThreads)), 1}
}
