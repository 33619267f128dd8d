//go:build cuda && cgo && linux

package cuda_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/reasond/reasond/kernels/cuda"
)

// rig is a device with helpers for what the batch and the rows hold.
type rig struct{ *device }

func newRig(t *testing.T, seed uint64) *rig {
	t.Helper()
	r := &rig{openDevice(t)}
	r.rng = rand.New(rand.NewPCG(seed, 1))
	return r
}

// nan is device memory that holds NaN in every type.
func (r *rig) nan(bytes int) cuda.Ptr {
	r.Helper()
	p := r.alloc(bytes)
	if err := r.stream.Memset(p, 0xFF, int64(bytes)); err != nil {
		r.Fatal(err)
	}
	return p
}

func (r *rig) bytes(b []byte) cuda.Ptr {
	r.Helper()
	return r.upload(append(b, make([]byte, max(0, 16-len(b)))...))
}

func (r *rig) ints(v ...int32) cuda.Ptr {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return r.bytes(b)
}

func (r *rig) words(v ...uint64) cuda.Ptr {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return r.bytes(b)
}

// elements puts values on the device; they become what the device has.
func (r *rig) elements(e cuda.Elem, v []float64) cuda.Ptr {
	var b []byte
	for i, x := range v {
		if e == cuda.ElemF32 {
			v[i] = float64(float32(x))
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
		} else {
			h := toBF16(x)
			v[i] = fromBF16(h)
			b = binary.LittleEndian.AppendUint16(b, h)
		}
	}
	return r.bytes(b)
}

func (r *rig) buffer(e cuda.Elem, cols int, v []float64) cuda.Buffer {
	return cuda.Buffer{Ptr: r.elements(e, v), Elem: e, Cols: cols}
}

// values reads rows of a buffer.
func (r *rig) values(b cuda.Buffer, rows int) [][]float64 {
	r.Helper()
	raw := r.download(b.Ptr, rows*b.Cols*b.Elem.Size())
	out := make([][]float64, rows)
	for i := range out {
		for range b.Cols {
			if b.Elem == cuda.ElemF32 {
				out[i] = append(out[i], float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
			} else {
				out[i] = append(out[i], fromBF16(binary.LittleEndian.Uint16(raw)))
			}
			raw = raw[b.Elem.Size():]
		}
	}
	return out
}

// header writes the batch's header: pairs of word and value.
func (r *rig) header(pairs ...int) {
	h := make([]int32, cuda.HeaderWords)
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = int32(pairs[i+1])
	}
	r.batch.Header = r.ints(h...)
}

// normal draws n values.
func (r *rig) normal(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.rng.NormFloat64()
	}
	return v
}

// spoil makes every element from the n-th on NaN.
func spoil(v []float64, n int) []float64 {
	for i := n; i < len(v); i++ {
		v[i] = math.NaN()
	}
	return v
}

// near compares a row with the mathematics: within tol of the row's largest
// element. Tolerances: 2^-8 for a result rounded to bfloat16 once (8 bits of
// mantissa), a few of them where a factor is rounded too.
func (r *rig) near(tol float64, got, want []float64, format string, args ...any) {
	r.Helper()
	if len(got) != len(want) {
		r.Fatalf("%s: %d elements, want %d", fmt.Sprintf(format, args...), len(got), len(want))
	}
	most := 0.0
	for _, v := range want {
		most = max(most, math.Abs(v))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol*most+1e-30) {
			r.Fatalf("%s: element %d is %v, want %v (the row's largest: %v)", fmt.Sprintf(format, args...), i, got[i], want[i], most)
		}
	}
}

// untouched says that rows hold the NaN that they held before.
func (r *rig) untouched(rows [][]float64, format string, args ...any) {
	r.Helper()
	for i, row := range rows {
		for j, v := range row {
			if !math.IsNaN(v) {
				r.Fatalf("%s: padding row %d, element %d is written: %v", fmt.Sprintf(format, args...), i, j, v)
			}
		}
	}
}

// toBF16 rounds to nearest even; a NaN stays one.
func toBF16(v float64) uint16 {
	b := math.Float32bits(float32(v))
	if v != v {
		return 0x7FFF
	}
	return uint16((b + 0x7FFF + b>>16&1) >> 16)
}

func fromBF16(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }

// elems is every pair of types.
func elems(f func(in, out cuda.Elem)) {
	for _, in := range []cuda.Elem{cuda.ElemF32, cuda.ElemBF16} {
		for _, out := range []cuda.Elem{cuda.ElemF32, cuda.ElemBF16} {
			f(in, out)
		}
	}
}

// rounding is the tolerance of a result in these elements.
func rounding(e cuda.Elem) float64 {
	if e == cuda.ElemF32 {
		return 1e-5
	}
	return 1.0 / 256
}
