package quant

import "math"

// e2m1 holds the values of the sixteen FP4 codes: sign, two exponent bits, one
// of mantissa (OCP Microscaling Formats v1.0, 5.3.3).
var e2m1 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}

// mxfp4: e e8m0 | q e2m1[32]          x[i] = 2^(e-127) * q[i]
// Byte j holds element j in its low and element j+16 in its high nibble, as
// ggml has it; a scale of 255 makes the whole block NaN (OCP MX, 5.4.1).
func mxfp4(dst []float32, b []byte) {
	scale := Power8(b[0])
	for j, q := range b[1:17] {
		dst[j] = scale * e2m1[q&0xf]
		dst[j+16] = scale * e2m1[q>>4]
	}
}

// Power8 is the float32 of an e8m0 scale: 2^(e-127), NaN for 255.
func Power8(e byte) float32 {
	switch e {
	case 0:
		return math.Float32frombits(1 << 22) // 2^-127, a subnormal
	case 255:
		return float32(math.NaN())
	}
	return math.Float32frombits(uint32(e) << 23)
}
