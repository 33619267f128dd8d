package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
)

// Law: a form holds a tensor's values to the bit; BF16 holds them rounded to
// nearest, those of MXFP4 to the bit.
func TestFormsHoldTheValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name          string
		tensor        weights.Tensor
		float32, norm weights.DType // the form in float32 mode and without
	}{
		{"MXFP4", mxfp4(r, 3, 96, 104, 143), weights.MXFP4, weights.MXFP4},
		{"MXFP4 of large scale", mxfp4(r, 3, 96, 104, 144), weights.BF16, weights.BF16},
		{"MXFP4 of small scale", mxfp4(r, 3, 96, 103, 143), weights.BF16, weights.BF16},
		{"MXFP4 of any scale", mxfp4(r, 200, 64, 2, 254), weights.BF16, weights.BF16},
		{"I4", i4(r, 5, 96, 32, 0, 16, weights.F16), weights.Q8_0, weights.Q8_0},
		{"I4 in one group", i4(r, 5, 96, 96, 0, 17, weights.BF16), weights.Q8_0, weights.Q8_0},
		{"symmetric I4", i4(r, 5, 128, 64, 8, 1, weights.F16), weights.Q4_0, weights.Q4_0},
		{"I4 of large zeros", i4(r, 5, 128, 64, 120, 9, weights.F16), weights.F32, weights.BF16},
		{"I4 of odd groups", i4(r, 5, 96, 48, 0, 16, weights.F16), weights.F32, weights.BF16},
		{"I4 of odd rows", i4(r, 5, 70, 32, 0, 16, weights.F16), weights.F32, weights.BF16},
		{"I4 of float32 scales", i4(r, 5, 64, 32, 0, 16, weights.F32), weights.F32, weights.BF16},
		{"F8E4M3", f8(r, 5, 70), weights.F32, weights.BF16},
		{"Q5_0", q5(r, 5, 96), weights.Q8_0, weights.Q8_0},
	} {
		for mode, want := range map[bool]weights.DType{true: c.float32, false: c.norm} {
			t.Run(fmt.Sprint(c.name, " float32 ", mode), func(t *testing.T) {
				if err := c.tensor.Validate(); err != nil {
					t.Fatal(err)
				}
				b := &Backend{cfg: backend.Config{Float32: mode}}
				form := b.form(c.tensor)
				if form != want {
					t.Fatalf("the form is %s, must be %s", form, want)
				}
				rows := c.tensor.Rows()
				packed := c.tensor
				packed.DType, packed.Scale, packed.Zero = form, nil, nil
				packed.Data = append(rowsIn(form, c.tensor, 0, 2), rowsIn(form, c.tensor, 2, rows)...)
				right := c.tensor.Float32()
				for i, v := range packed.Float32() {
					w := right[i]
					if form == weights.BF16 && c.tensor.DType != weights.MXFP4 {
						w = nearest(w)
					}
					if v != w {
						t.Fatalf("element %d is %g, must be %g", i, v, w)
					}
				}
			})
		}
	}
}

// nearest is the bfloat16 next to x: of the two around it the nearer, of two as
// near the even one.
func nearest(x float32) float32 {
	low := math.Float32frombits(math.Float32bits(x) &^ 0xffff)
	high := math.Float32frombits(math.Float32bits(x)&^0xffff + 0x10000)
	down, up := math.Abs(float64(x)-float64(low)), math.Abs(float64(high)-float64(x))
	if up < down || up == down && math.Float32bits(high)>>16&1 == 0 {
		return high
	}
	return low
}

// Law: parts of one format take one form, the widest that one of them needs.
func TestPartsOfOneFormatTakeOneForm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := &Backend{}
	four, eight, wide := i4(r, 5, 128, 64, 8, 1, weights.F16), i4(r, 5, 128, 64, 0, 16, weights.F16), mxfp4(r, 3, 128, 2, 254)
	got := b.forms([]weights.Tensor{four, wide, eight, mxfp4(r, 3, 128, 120, 127)})
	if want := []weights.DType{weights.Q8_0, weights.BF16, weights.Q8_0, weights.BF16}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("forms are %v, must be %v", got, want)
	}
}

// Law: a half is exact for what a half holds and says so for nothing else.
func TestHalves(t *testing.T) {
	for h := range 1 << 16 {
		x := quant.Float16(uint16(h))
		if x != x || math.IsInf(float64(x), 0) {
			continue
		}
		if got, exact := half(x); got != uint16(h) || !exact {
			t.Fatalf("half of %g is %#x, exact %v, must be %#x", x, got, exact, h)
		}
	}
	for _, x := range []float32{65536, -1e9, 1e-8, 1.0001, 6.1e-5, float32(math.Inf(1)), float32(math.NaN()), math.SmallestNonzeroFloat32} {
		if _, exact := half(x); exact {
			t.Errorf("%g is no half", x)
		}
	}
}

func random(r *rand.Rand, n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// mxfp4 is a random tensor whose blocks' scales reach from least to most.
func mxfp4(r *rand.Rand, rows, cols, least, most int) weights.Tensor {
	t := weights.Tensor{Name: "t", DType: weights.MXFP4, Shape: []int{rows, cols}, Data: random(r, rows*cols/32*17)}
	for at := 0; at < len(t.Data); at += 17 {
		t.Data[at] = byte(least + r.IntN(most-least+1))
	}
	t.Data[0], t.Data[17] = byte(least), byte(most)
	return t
}

// i4 is a random tensor with zeros from zero to zero+zeros-1.
func i4(r *rand.Rand, rows, cols, group, zero, zeros int, scales weights.DType) weights.Tensor {
	groups := (cols + group - 1) / group
	scale := weights.Tensor{Name: "s", DType: scales, Shape: []int{rows, groups}}
	codes := weights.Tensor{Name: "z", DType: weights.U8, Shape: scale.Shape}
	for range rows * groups {
		u := math.Float32bits(float32(r.NormFloat64()) / 100)
		switch scales {
		case weights.F32:
			scale.Data = binary.LittleEndian.AppendUint32(scale.Data, u)
		case weights.BF16:
			scale.Data = binary.LittleEndian.AppendUint16(scale.Data, uint16(u>>16))
		case weights.F16:
			scale.Data = binary.LittleEndian.AppendUint16(scale.Data, uint16(r.IntN(2)<<15|(1+r.IntN(12))<<10|r.IntN(1024)))
		}
		codes.Data = append(codes.Data, byte(zero+r.IntN(zeros)))
	}
	codes.Data[0] = byte(zero + zeros - 1)
	return weights.Tensor{Name: "t", DType: weights.I4, Shape: []int{rows, cols}, Data: random(r, rows*cols/2), Scale: &scale, ScaleBlock: [2]int{1, group}, Zero: &codes}
}

func f8(r *rand.Rand, rows, cols int) weights.Tensor {
	t := weights.Tensor{Name: "t", DType: weights.F8E4M3, Shape: []int{rows, cols}, Data: random(r, rows*cols), ScaleBlock: [2]int{4, 64}}
	for i := range t.Data {
		if t.Data[i]&0x7f == 0x7f {
			t.Data[i] = 0
		}
	}
	t.Scale = &weights.Tensor{Name: "s", Shape: []int{(rows + 3) / 4, (cols + 63) / 64}}
	for range t.Scale.Elements() {
		t.Scale.Data = binary.LittleEndian.AppendUint32(t.Scale.Data, math.Float32bits(float32(r.NormFloat64())))
	}
	return t
}

func q5(r *rand.Rand, rows, cols int) weights.Tensor {
	t := weights.Tensor{Name: "t", DType: weights.Q5_0, Shape: []int{rows, cols}}
	t.Data = random(r, rows*t.RowBytes())
	for at := 0; at < len(t.Data); at += weights.Q5_0.BlockBytes() {
		t.Data[at+1] = t.Data[at+1]&0x83 | 0x18 // a finite scale
	}
	return t
}
