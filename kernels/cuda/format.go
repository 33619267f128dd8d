package cuda

import (
	"fmt"

	"github.com/reasond/reasond/internal/weights"
)

// Format is how a matrix lies in device memory; formats.cuh has the other half.
//
// FormatBF16 is row-major, rows padded to a multiple of 8 elements, so that
// cuBLASLt reads it too. All others are packed: the matrix is cut into tiles of
// 16 rows, a tile into steps of 64 columns, and a step is one record
//
//	codes  [32 lanes] in the order of mma.m16n8k16's A fragments, 16 bytes a
//	       lane and load
//	scales [16 rows], those of the step's two groups of 32 columns
//
// and lies behind the previous step's, so that a warp streams its tile. What
// more than 64 columns share lies in a second plane of words, side[tile][group][16
// rows], or [2] where each eight rows of a tile have one in common.
//
//	format  codes  scales a row, a step        side                        w
//	Q8      1024   d f16[2]                    -                           d*q
//	Q4      512    d f16[2]                    -                           d*(q-8)
//	Q4M     512    (d, m f16)[2]               -                           d*q + m
//	Q4K     512    (sc, mn u8)[2]              d, dmin f16 per 256         d*sc*q - dmin*mn
//	Q5K     640    (sc, mn u8)[2]              d, dmin f16 per 256         d*sc*q - dmin*mn
//	Q6K     768    sc i8[4], one per 16        d f16 per 256               d*sc*(q-32)
//	MXFP4   512    e8m0[2]                     -                           2^(e-127)*e2m1
//	I4      512    -                           f32 with z in its low byte  s*(q-z)
//	FP8     1024   -                           f32                         s*e4m3
//
// The codes of five and six bits are a plane of nibbles and one of the bits
// above. I4 keeps 16 bits of its scale's mantissa: f16 and bf16 are exact.
type Format uint8

// The formats.
const (
	FormatBF16 Format = iota
	FormatQ8
	FormatQ4
	FormatQ4M
	FormatQ4K
	FormatQ5K
	FormatQ6K
	FormatMXFP4
	FormatI4
	FormatFP8
	formatCount
)

// formats has what the layout's arithmetic needs. Names are those in kernels'
// names.
var formats = [formatCount]struct {
	name   string
	codes  int // bytes of a record's codes
	scales int // bytes of a row's scales in a record
	side   int // columns that share a side word; 0: no side, -1: as the tensor says
}{
	FormatBF16:  {"bf16", 0, 0, 0},
	FormatQ8:    {"q8", 1024, 4, 0},
	FormatQ4:    {"q4", 512, 4, 0},
	FormatQ4M:   {"q4m", 512, 8, 0},
	FormatQ4K:   {"q4k", 512, 4, 256},
	FormatQ5K:   {"q5k", 640, 4, 256},
	FormatQ6K:   {"q6k", 768, 4, 256},
	FormatMXFP4: {"mxfp4", 512, 2, 0},
	FormatI4:    {"i4", 512, 0, -1},
	FormatFP8:   {"fp8", 1024, 0, -1},
}

func (f Format) String() string {
	if f >= formatCount {
		return fmt.Sprintf("Format(%d)", uint8(f))
	}
	return formats[f].name
}

// tileRows and stepCols are a record's rows and columns.
const (
	tileRows = 16
	stepCols = 64
)

// record is the bytes of a record.
func (f Format) record() int { return formats[f].codes + tileRows*formats[f].scales }

// formatOf is the device's format for a tensor. What has no packed layout (F32,
// F16, Q5_0; scales that groups of 32 columns do not share) is rounded to bfloat16.
func formatOf(t weights.Tensor) (Format, error) {
	switch t.DType {
	case weights.F32, weights.F16, weights.BF16, weights.Q5_0:
		return FormatBF16, nil
	case weights.Q8_0:
		return FormatQ8, nil
	case weights.Q4_0:
		return FormatQ4, nil
	case weights.Q4_1:
		return FormatQ4M, nil
	case weights.Q4_K:
		return FormatQ4K, nil
	case weights.Q5_K:
		return FormatQ5K, nil
	case weights.Q6_K:
		return FormatQ6K, nil
	case weights.MXFP4:
		return FormatMXFP4, nil
	case weights.I4, weights.F8E4M3:
		if t.Scale == nil || (t.DType == weights.I4 && t.Zero == nil) {
			return 0, fmt.Errorf("cuda: tensor %q: %v without scales", t.Name, t.DType)
		}
		if g := t.ScaleBlock[1]; g < t.Cols() && g%32 != 0 {
			return FormatBF16, nil
		}
		if t.DType == weights.I4 {
			return FormatI4, nil
		}
		return FormatFP8, nil
	}
	return 0, fmt.Errorf("cuda: tensor %q: no matrix is made of %v", t.Name, t.DType)
}
