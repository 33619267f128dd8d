package weights

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/weights/quant"
)

// DType is the format of a tensor's elements, see package quant.
type DType = quant.DType

// The formats, see package quant.
const (
	F32  = quant.F32
	F16  = quant.F16
	BF16 = quant.BF16
	Q8_0 = quant.Q8_0
	Q4_0 = quant.Q4_0
	Q4_1 = quant.Q4_1
	Q5_K = quant.Q5_K
	Q4_K = quant.Q4_K
	Q6_K = quant.Q6_K

	MXFP4  = quant.MXFP4
	F8E4M3 = quant.F8E4M3
	I4     = quant.I4

	U8  = quant.U8
	I32 = quant.I32
	I64 = quant.I64

	Q5_0 = quant.Q5_0
)

// Tensor is a matrix or vector of a model file, row-major [rows(out)][cols(in)].
// A vector is one row. Data usually aliases the mapped file: it is read only
// and valid until the Model is closed. Its length is always exactly that of
// the shape.
//
// F8E4M3 and I4 hold codes alone. Their scales are companions:
//
//	F8E4M3  w[r][c] = code * Scale[r/ScaleBlock[0]][c/ScaleBlock[1]]
//	I4      w[r][c] = Scale[r][c/group] * (code - Zero[r][c/group])
//
// with ScaleBlock = {1, group} for I4. Scale is F32, F16 or BF16 and has
// ceil(rows/ScaleBlock[0]) rows of ceil(cols/ScaleBlock[1]); Zero is U8, one
// code a byte, of Scale's shape. Products are rounded to float32 once.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // as Hugging Face states it: [out, in] or [n]
	Data  []byte

	Scale      *Tensor // of F8E4M3 and I4, else nil
	ScaleBlock [2]int  // rows and columns that share an element of Scale
	Zero       *Tensor // of I4, else nil
}

// Rows is the number of rows: 1 for a vector; all dimensions but the last
// multiplied otherwise.
func (t Tensor) Rows() int {
	rows := 1
	for _, n := range t.Shape[:max(len(t.Shape)-1, 0)] {
		rows *= n
	}
	return rows
}

// Cols is the number of elements in a row, the last dimension.
func (t Tensor) Cols() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[len(t.Shape)-1]
}

// Elements is Rows times Cols.
func (t Tensor) Elements() int { return t.Rows() * t.Cols() }

// RowBytes is the number of bytes of a row; rows lie back to back.
func (t Tensor) RowBytes() int {
	return t.Cols() / t.DType.BlockSize() * t.DType.BlockBytes()
}

// Bytes is the size of the data and its companions.
func (t Tensor) Bytes() int64 {
	n := int64(len(t.Data))
	for _, c := range []*Tensor{t.Scale, t.Zero} {
		if c != nil {
			n += int64(len(c.Data))
		}
	}
	return n
}

// Row writes the dequantised row i to dst, whose length must be Cols.
func (t Tensor) Row(dst []float32, i int) {
	n := t.RowBytes()
	quant.Dequantise(dst, t.DType, t.Data[i*n:(i+1)*n])
	if t.Scale != nil {
		t.applyScale(dst, i)
	}
}

// Float32 is all elements dequantised, row after row, in a new slice.
func (t Tensor) Float32() []float32 {
	dst := make([]float32, t.Elements())
	quant.Dequantise(dst, t.DType, t.Data)
	if t.Scale != nil {
		cols := t.Cols()
		for r := range t.Rows() {
			t.applyScale(dst[r*cols:(r+1)*cols], r)
		}
	}
	return dst
}

// Plain is the tensor in a float format: itself, or dequantised to F32 in a copy.
func (t Tensor) Plain() Tensor {
	if !t.DType.Quantised() {
		return t
	}
	data := make([]byte, 0, 4*t.Elements())
	for _, v := range t.Float32() {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return Tensor{Name: t.Name, DType: F32, Shape: t.Shape, Data: data}
}

// Transposed is a copy of a matrix with rows and columns exchanged, in its
// format if that is a float format, else in F32.
func (t Tensor) Transposed() Tensor { return transpose(t.Plain()) }

// SliceRows is the view of rows [from, to) of a matrix. A cut within a block of
// its Scale is refused, see sliceCompanions.
func (t Tensor) SliceRows(from, to int) (Tensor, error) {
	if len(t.Shape) != 2 {
		return Tensor{}, fmt.Errorf("tensor %q: only a matrix has rows to slice, its shape is %v", t.Name, t.Shape)
	}
	if from < 0 || to < from || to > t.Shape[0] {
		return Tensor{}, fmt.Errorf("tensor %q: rows %d to %d are not within its %d", t.Name, from, to, t.Shape[0])
	}
	n := t.RowBytes()
	part := t
	part.Data = t.Data[from*n : to*n : to*n]
	part.Shape = []int{to - from, t.Shape[1]}
	return part, part.sliceCompanions(t, 0, from, to)
}

// SliceCols is a copy of columns [from, to) of a matrix, or of elements
// [from, to) of a vector. Both ends must lie between blocks, those of a
// companion's too (see sliceCompanions).
func (t Tensor) SliceCols(from, to int) (Tensor, error) {
	cols, block := t.Cols(), t.DType.BlockSize()
	if from < 0 || to < from || to > cols {
		return Tensor{}, fmt.Errorf("tensor %q: columns %d to %d are not within its %d", t.Name, from, to, cols)
	}
	if from%block != 0 || to%block != 0 {
		return Tensor{}, fmt.Errorf("tensor %q: columns %d to %d cut a %s block of %d", t.Name, from, to, t.DType, block)
	}
	rows, stride := t.Rows(), t.RowBytes()
	first, last := from/block*t.DType.BlockBytes(), to/block*t.DType.BlockBytes()
	data := make([]byte, 0, rows*(last-first))
	for r := range rows {
		data = append(data, t.Data[r*stride+first:r*stride+last]...)
	}
	shape := append([]int(nil), t.Shape...)
	if len(shape) == 0 {
		shape = []int{1}
	}
	shape[len(shape)-1] = to - from
	part := t
	part.Data, part.Shape = data, shape
	return part, part.sliceCompanions(t, 1, from, to)
}
