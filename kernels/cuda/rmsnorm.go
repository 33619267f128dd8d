package cuda

import "fmt"

// RMSNorm launches rmsnorm.cu: out[r] = x[r] / sqrt(mean(x[r]^2) + eps) * w for
// the first rows of the batch; w is float32 [cols]. Elements of x and out may be
// of either type. out may be x where both have one type.
func RMSNorm(b Batch, rows int, out, x Buffer, w Ptr, eps float32) (Launch, error) {
	return rmsNorm("rmsnorm", b, rows, 0, out, x, w, eps)
}

// RMSNormRows is RMSNorm of the rows that b.LogitRows lists: out[i] is of row
// LogitRows[i]. rows is the most that a step wants.
func RMSNormRows(b Batch, rows int, out, x Buffer, w Ptr, eps float32) (Launch, error) {
	return rmsNorm("rmsnorm_rows", b, rows, b.LogitRows, out, x, w, eps)
}

func rmsNorm(op string, b Batch, rows int, list Ptr, out, x Buffer, w Ptr, eps float32) (Launch, error) {
	if err := firstError(checkRows(op, rows), out.check(op+"'s out"), x.check(op+"'s x")); err != nil {
		return Launch{}, err
	}
	if out.Cols != x.Cols {
		return Launch{}, fmt.Errorf("cuda: %s: %d columns into %d", op, x.Cols, out.Cols)
	}
	if w == 0 || w%16 != 0 {
		return Launch{}, fmt.Errorf("cuda: %s: weights at %#x", op, w)
	}
	return Launch{
		Kernel: fmt.Sprintf("rmsnorm_%v_%v", x.Elem, out.Elem),
		Grid:   grid1(rows), Block: block1(normThreads(x.Cols)),
		Args: []uint64{uint64(b.Header), uint64(list), uint64(out.Ptr), uint64(x.Ptr), uint64(w), Int(x.Cols), Float(eps)},
	}, nil
}

// normThreads gives each thread about two vectors of eight elements.
func normThreads(cols int) int {
	return max(32, min(512, ceilDiv(ceilDiv(cols, 16), 32)*32))
}
