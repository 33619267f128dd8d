// Package quant knows the element formats of model files: how many elements
// and bytes a block has, and how a block becomes float32. It is the slow, exact
// reference that kernels are compared with; it knows no file and no tensor.
package quant

import (
	"encoding/binary"
	"fmt"
)

// DType is the format of a tensor's elements.
type DType uint8

// The formats a model file may hold. The block formats Q… and MXFP4 are those of
// ggml, drawn in blocks.go, kblocks.go and mxfp4.go. F8E4M3 and I4 carry no
// scales of their own: a tensor of them has companions (weights.Tensor.Scale).
// U8, I32 and I64 are integers that no matrix of weights consists of: codes that
// another tensor needs, or packed words.
const (
	F32 DType = iota
	F16
	BF16
	Q8_0
	Q4_0
	Q4_1
	Q5_K
	Q4_K
	Q6_K
	MXFP4
	F8E4M3
	I4
	U8
	I32
	I64
	Q5_0
	dtypeCount
)

var layouts = [dtypeCount]struct {
	name  string
	size  int // elements a block
	bytes int // bytes a block
}{
	F32:  {"F32", 1, 4},
	F16:  {"F16", 1, 2},
	BF16: {"BF16", 1, 2},
	Q8_0: {"Q8_0", 32, 34},
	Q4_0: {"Q4_0", 32, 18},
	Q4_1: {"Q4_1", 32, 20},
	Q5_K: {"Q5_K", 256, 176},
	Q4_K: {"Q4_K", 256, 144},
	Q6_K: {"Q6_K", 256, 210},

	MXFP4:  {"MXFP4", 32, 17},
	F8E4M3: {"F8_E4M3", 1, 1},
	I4:     {"I4", 2, 1},

	U8:  {"U8", 1, 1},
	I32: {"I32", 1, 4},
	I64: {"I64", 1, 8},

	Q5_0: {"Q5_0", 32, 22},
}

// BlockSize is the number of elements a block holds: 1, 2, 32 or 256.
func (d DType) BlockSize() int { return layouts[d].size }

// BlockBytes is the number of bytes a block takes in the file.
func (d DType) BlockBytes() int { return layouts[d].bytes }

// String is the format's name as ggml or safetensors spells it.
func (d DType) String() string {
	if d >= dtypeCount {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return layouts[d].name
}

// Valid reports whether d is one of the formats above.
func (d DType) Valid() bool { return d < dtypeCount }

// Quantised reports whether d is a format that weights are rounded to with
// scales, its own or a companion's.
func (d DType) Quantised() bool { return d.BlockSize() > 1 || d == F8E4M3 }

// Integer reports whether d is a format of plain integers, U8, I32 or I64.
func (d DType) Integer() bool { return d == U8 || d == I32 || d == I64 }

// Dequantise writes the float32 values of src, whole blocks of format d, to
// dst. It panics unless src holds exactly len(dst) elements, a whole number of
// blocks: shapes are checked where a file is read. Every operation rounds to
// float32, in the order of ggml's reference, so the result is exact. Of F8E4M3
// and I4 it gives the codes' own values, without companions.
func Dequantise(dst []float32, d DType, src []byte) {
	l := layouts[d]
	if len(dst)%l.size != 0 || len(src) != len(dst)/l.size*l.bytes {
		panic(fmt.Sprintf("quant: %d bytes of %s are not %d elements", len(src), d, len(dst)))
	}
	switch d {
	case F32:
		f32(dst, src)
	case F16:
		f16(dst, src)
	case BF16:
		bf16(dst, src)
	case F8E4M3:
		for i, v := range src {
			dst[i] = Float8(v)
		}
	case U8:
		for i, v := range src {
			dst[i] = float32(v)
		}
	case I32:
		for i := range dst {
			dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])))
		}
	case I64:
		for i := range dst {
			dst[i] = float32(int64(binary.LittleEndian.Uint64(src[8*i:])))
		}
	default:
		block := blockFuncs[d]
		for len(dst) > 0 {
			block(dst[:l.size], src[:l.bytes])
			dst, src = dst[l.size:], src[l.bytes:]
		}
	}
}

// blockFuncs holds the function that dequantises one block of each format.
var blockFuncs = [dtypeCount]func(dst []float32, b []byte){
	Q8_0: q8_0,
	Q4_0: q4_0,
	Q4_1: q4_1,
	Q5_K: q5_K,
	Q4_K: q4_K,
	Q6_K: q6_K,

	MXFP4: mxfp4,
	I4:    i4,
	Q5_0:  q5_0,
}
