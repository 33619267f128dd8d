package quant

import "math"

// Float8 is the float32 of an FP8 number e4m3: sign, four exponent bits with a
// bias of 7, three of mantissa; no infinities, NaN where all seven are set
// (arXiv 2209.05433, torch.float8_e4m3fn).
func Float8(v byte) float32 {
	sign := uint32(v&0x80) << 24
	exp, frac := uint32(v>>3)&0xf, uint32(v&7)
	switch {
	case exp == 0xf && frac == 7:
		return math.Float32frombits(sign | 0x7fc00000)
	case exp == 0: // zero or subnormal: frac x 2^-9
		return math.Float32frombits(math.Float32bits(float32(frac)/(1<<9)) | sign)
	}
	return math.Float32frombits(sign | (exp+127-7)<<23 | frac<<20)
}

// i4: q uint4[2], the first element in the low nibble. The values are the codes.
func i4(dst []float32, b []byte) {
	dst[0], dst[1] = float32(b[0]&0xf), float32(b[0]>>4)
}
