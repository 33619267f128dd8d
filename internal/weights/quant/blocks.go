package quant

import (
	"encoding/binary"
	"math"
)

func f32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func f16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = Float16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func bf16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

// Float16 is the float32 of an IEEE half: exact, subnormals, infinities and
// NaN payloads included.
func Float16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero or subnormal: frac x 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

func half(b []byte) float32 { return Float16(binary.LittleEndian.Uint16(b)) }

// q8_0: d f16 | q int8[32]            x[i] = d*q[i]
func q8_0(dst []float32, b []byte) {
	d := half(b)
	for i := range dst {
		dst[i] = float32(int8(b[2+i])) * d
	}
}

// q4_0: d f16 | q uint4[32]           x[i] = d*(q[i]-8)
// Byte j holds element j in its low and element j+16 in its high nibble.
func q4_0(dst []float32, b []byte) {
	d := half(b)
	for j, q := range b[2:18] {
		dst[j] = d * float32(int(q&0xf)-8)
		dst[j+16] = d * float32(int(q>>4)-8)
	}
}

// q5_0: d f16 | high bits uint32 | q uint4[32]   x[i] = d*(q[i]-16)
// Nibbles as in q4_0; bit i of the word is bit 4 of element i.
func q5_0(dst []float32, b []byte) {
	d, high := half(b), binary.LittleEndian.Uint32(b[2:])
	for j, q := range b[6:22] {
		dst[j] = d * float32(int(q&0xf)|int(high>>j&1)<<4-16)
		dst[j+16] = d * float32(int(q>>4)|int(high>>(j+16)&1)<<4-16)
	}
}

// q4_1: d f16 | m f16 | q uint4[32]   x[i] = d*q[i] + m
// The conversions keep the compiler from fusing product and sum.
func q4_1(dst []float32, b []byte) {
	d, m := half(b), half(b[2:])
	for j, q := range b[4:20] {
		dst[j] = float32(d*float32(q&0xf)) + m
		dst[j+16] = float32(d*float32(q>>4)) + m
	}
}
