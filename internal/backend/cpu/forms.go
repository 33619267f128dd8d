package cpu

import (
	"encoding/binary"
	"math"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
)

// A tensor's form is the format that it is packed in. F32 to Q6_K have kernels
// of their own and stay what they are; the others take the first of these that
// holds their values exactly, or is wide enough:
//
//	MXFP4   MXFP4, BF16 where half a scale is too large or too small for a half
//	I4      Q4_0 where all zeros are 8, Q8_0 (code - zero); where a group is not
//	        whole blocks or a scale is no half, BF16, in float32 mode F32
//	F8E4M3  BF16, in float32 mode F32
//	Q5_0    Q8_0
//
// Q8_0 takes twice the bytes of 4-bit codes and half as many again as Q5_0's, BF16 twice those of 8-bit ones. BF16
// rounds, but of MXFP4 it holds every value.
func (b *Backend) form(t weights.Tensor) weights.DType {
	float := weights.BF16
	if b.cfg.Float32 {
		float = weights.F32
	}
	switch t.DType {
	case weights.MXFP4:
		return mxfp4Form(t)
	case weights.F8E4M3:
		return float
	case weights.Q5_0:
		return weights.Q8_0
	case weights.I4:
		if form, ok := i4Form(t); ok {
			return form
		}
		return float
	}
	return t.DType
}

// forms are those of a spec's parts. Parts of one format take one form: the
// widest of theirs.
func (b *Backend) forms(parts []weights.Tensor) []weights.DType {
	width := map[weights.DType]int{weights.MXFP4: 0, weights.Q4_0: 0, weights.Q8_0: 1, weights.BF16: 2, weights.F32: 3}
	widest := map[weights.DType]weights.DType{}
	for _, p := range parts {
		form := b.form(p)
		if before, ok := widest[p.DType]; !ok || width[form] > width[before] {
			widest[p.DType] = form
		}
	}
	forms := make([]weights.DType, len(parts))
	for i, p := range parts {
		forms[i] = widest[p.DType]
	}
	return forms
}

// A half's least and largest powers of two.
const halfLeast, halfMost = -24, 15

func mxfp4Form(t weights.Tensor) weights.DType {
	for at := 0; at < len(t.Data); at += weights.MXFP4.BlockBytes() {
		if e := int(t.Data[at]) - 128; e < halfLeast || e > halfMost {
			return weights.BF16
		}
	}
	return weights.MXFP4
}

func i4Form(t weights.Tensor) (weights.DType, bool) {
	if t.ScaleBlock[1]%weights.Q8_0.BlockSize() != 0 || t.Cols()%weights.Q8_0.BlockSize() != 0 {
		return 0, false
	}
	form := weights.Q4_0
	for _, z := range t.Zero.Data {
		if z != 8 {
			form = weights.Q8_0
		}
		if z > 127 {
			return 0, false
		}
	}
	for _, s := range t.Scale.Float32() {
		if _, exact := half(s); !exact {
			return 0, false
		}
	}
	return form, true
}

// half is the IEEE half of x, truncated, and whether that is x.
func half(x float32) (h uint16, exact bool) {
	u := math.Float32bits(x)
	h = uint16(u >> 16 & 0x8000)
	switch e := int(u>>23&255) - 127; {
	case e >= -14 && e <= halfMost:
		h |= uint16(e+15)<<10 | uint16(u>>13&0x3ff)
	case e >= halfLeast && e < -14:
		h |= uint16((u&0x7fffff | 0x800000) >> (-1 - e))
	}
	return h, math.Float32bits(quant.Float16(h)) == u
}

// rowsIn is rows [from, to) of a tensor in a form.
func rowsIn(form weights.DType, t weights.Tensor, from, to int) []byte {
	if n := t.RowBytes(); form == t.DType {
		return t.Data[from*n : to*n]
	}
	switch {
	case t.DType == weights.Q5_0:
		return q5AsQ8(t, from, to)
	case form == weights.Q8_0 || form == weights.Q4_0:
		return i4AsBlocks(form, t, from, to)
	}
	var out []byte
	row := make([]float32, t.Cols())
	for r := from; r < to; r++ {
		t.Row(row, r)
		for _, v := range row {
			if u := math.Float32bits(v); form == weights.F32 {
				out = binary.LittleEndian.AppendUint32(out, u)
			} else {
				out = binary.LittleEndian.AppendUint16(out, bfloat16(u))
			}
		}
	}
	return out
}

// bfloat16 rounds the bits of a float32 to nearest, ties to even.
func bfloat16(u uint32) uint16 {
	if u&0x7fffffff > 0x7f800000 { // NaN
		return uint16(u>>16) | 64
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// q5AsQ8 keeps the scales and widens the codes.
func q5AsQ8(t weights.Tensor, from, to int) []byte {
	n := t.RowBytes()
	var out []byte
	for b := t.Data[from*n : to*n]; len(b) > 0; b = b[weights.Q5_0.BlockBytes():] {
		out = append(out, b[:2]...)
		high := binary.LittleEndian.Uint32(b[2:])
		for i := range 32 {
			out = append(out, b[6+i%16]>>(i/16*4)&15|byte(high>>i&1)<<4-16)
		}
	}
	return out
}

func i4AsBlocks(form weights.DType, t weights.Tensor, from, to int) []byte {
	groups := t.Scale.Cols()
	scale := make([]float32, groups)
	var out []byte
	for r := from; r < to; r++ {
		t.Scale.Row(scale, r)
		codes := t.Data[r*t.RowBytes() : (r+1)*t.RowBytes()]
		for k := 0; k < t.Cols(); k += 32 {
			g := k / t.ScaleBlock[1]
			d, _ := half(scale[g])
			out = binary.LittleEndian.AppendUint16(out, d)
			code := func(i int) byte { return codes[(k+i)/2] >> ((k + i) % 2 * 4) & 15 }
			for i := 0; i < 32 && form == weights.Q8_0; i++ {
				out = append(out, code(i)-t.Zero.Data[r*groups+g])
			}
			for i := 0; i < 16 && form == weights.Q4_0; i++ {
				out = append(out, code(i)|code(i+16)<<4)
			}
		}
	}
	return out
}
