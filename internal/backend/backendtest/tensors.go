package backendtest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
)

// tableDTypes are the formats that embeddings come in, allDTypes those of other
// matrices.
var (
	tableDTypes = []weights.DType{
		weights.F32, weights.F16, weights.BF16, weights.Q8_0, weights.Q4_0, weights.Q4_1, weights.Q5_K, weights.Q4_K, weights.Q6_K,
		weights.Q5_0,
	}
	allDTypes = append(tableDTypes[:len(tableDTypes):len(tableDTypes)], weights.MXFP4, weights.F8E4M3, weights.I4)
)

// scales are the f16 scales of a block: their offset and the power of two that
// makes elements about 1. All other bytes of a block may take any value.
var scales = map[weights.DType][]struct{ at, exponent int }{
	weights.Q8_0: {{0, -7}},
	weights.Q4_0: {{0, -3}},
	weights.Q4_1: {{0, -4}, {2, -2}},
	weights.Q5_0: {{0, -4}},
	weights.Q5_K: {{0, -10}, {2, -7}},
	weights.Q4_K: {{0, -9}, {2, -7}},
	weights.Q6_K: {{208, -11}},
}

// randomTensor fills a tensor with values of moderate size: normal ones in the
// float formats, random blocks in the quantised ones, random companions.
func randomTensor(rng *rand.Rand, d weights.DType, shape ...int) weights.Tensor {
	t := weights.Tensor{Name: "random." + d.String(), DType: d, Shape: shape}
	t.Data = make([]byte, t.Rows()*t.RowBytes())
	switch d {
	case weights.F32:
		for i := 0; i < len(t.Data); i += 4 {
			binary.LittleEndian.PutUint32(t.Data[i:], math.Float32bits(float32(rng.NormFloat64())))
		}
	case weights.BF16:
		for i := 0; i < len(t.Data); i += 2 {
			binary.LittleEndian.PutUint16(t.Data[i:], uint16(math.Float32bits(float32(rng.NormFloat64()))>>16))
		}
	case weights.F16:
		for i := 0; i < len(t.Data); i += 2 {
			binary.LittleEndian.PutUint16(t.Data[i:], randomHalf(rng, -rng.IntN(5)))
		}
	case weights.F8E4M3:
		for i := range t.Data {
			t.Data[i] = byte(rng.IntN(2)<<7 | rng.IntN(127)) // all but NaN
		}
		t.ScaleBlock = [2]int{128, 128}
		t.Scale = randomScale(rng, weights.F32, (shape[0]+127)/128, (shape[1]+127)/128, -6)
	case weights.I4:
		randomI4(rng, &t)
	default:
		for i := range t.Data {
			t.Data[i] = byte(rng.Uint32())
		}
		if d == weights.MXFP4 {
			for i := 0; i < len(t.Data); i += d.BlockBytes() {
				t.Data[i] = byte(124 + rng.IntN(3)) // 2^-3 to 2^-1
			}
		}
		for i := 0; i < len(t.Data); i += d.BlockBytes() {
			for _, s := range scales[d] {
				binary.LittleEndian.PutUint16(t.Data[i+s.at:], randomHalf(rng, s.exponent))
			}
		}
	}
	return t
}

// randomI4 fills codes, zeros and scales: groups of 128 where they divide the
// columns, else of 32; all formats of scales.
func randomI4(rng *rand.Rand, t *weights.Tensor) {
	for i := range t.Data {
		t.Data[i] = byte(rng.Uint32())
	}
	group := 128
	if t.Cols()%group != 0 {
		group = 32
	}
	t.ScaleBlock = [2]int{1, group}
	format := []weights.DType{weights.F16, weights.BF16, weights.F32}[rng.IntN(3)]
	t.Scale = randomScale(rng, format, t.Rows(), (t.Cols()+group-1)/group, -3)
	zero := weights.Tensor{Name: "zeros", DType: weights.U8, Shape: t.Scale.Shape}
	for range zero.Elements() {
		zero.Data = append(zero.Data, byte(rng.IntN(16)))
	}
	t.Zero = &zero
}

// randomScale is a matrix of scales of either sign and a size of 1 to 2 times
// 2^exponent.
func randomScale(rng *rand.Rand, d weights.DType, rows, cols, exponent int) *weights.Tensor {
	t := weights.Tensor{Name: "scales", DType: d, Shape: []int{rows, cols}}
	for range rows * cols {
		h := randomHalf(rng, exponent)
		v := math.Float32bits(quant.Float16(h))
		switch d {
		case weights.F32:
			t.Data = binary.LittleEndian.AppendUint32(t.Data, v)
		case weights.BF16:
			t.Data = binary.LittleEndian.AppendUint16(t.Data, uint16(v>>16))
		case weights.F16:
			t.Data = binary.LittleEndian.AppendUint16(t.Data, h)
		}
	}
	return &t
}

// randomHalf is an f16 of either sign and a size of 1 to 2 times 2^exponent.
func randomHalf(rng *rand.Rand, exponent int) uint16 {
	return uint16(rng.IntN(2))<<15 | uint16(15+exponent)<<10 | uint16(rng.IntN(1<<10))
}

// floats is a float32 tensor of the given values.
func floats(values []float32, shape ...int) weights.Tensor {
	t := weights.Tensor{Name: "floats", DType: weights.F32, Shape: shape}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
	}
	return t
}

// matrix is a tensor's rows in float64.
func matrix(t weights.Tensor) [][]float64 {
	values := t.Float32()
	rows := make([][]float64, t.Rows())
	for r := range rows {
		for _, v := range values[r*t.Cols() : (r+1)*t.Cols()] {
			rows[r] = append(rows[r], float64(v))
		}
	}
	return rows
}
