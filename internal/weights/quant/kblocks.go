package quant

// The K formats share a super-block of 256 elements. Q4_K and Q5_K divide it
// into 8 groups of 32, each with a 6-bit scale and a 6-bit minimum:
//
//	x = (d*sc[g])*q - dmin*mn[g]
//
// Each product is converted to float32: without that the compiler may fuse it
// with the subtraction, across statements too, and round once too few.
//
// The 16 six-bit numbers are packed into 12 bytes s:
//
//	group g < 4:  sc = s[g]   & 63                       mn = s[g+4] & 63
//	group g >= 4: sc = s[g+4] & 15 | s[g-4]>>6 << 4      mn = s[g+4]>>4 | s[g]>>6 << 4
func scaleMin(s []byte, g int) (sc, mn float32) {
	if g < 4 {
		return float32(s[g] & 63), float32(s[g+4] & 63)
	}
	return float32(s[g+4]&15 | s[g-4]>>6<<4), float32(s[g+4]>>4 | s[g]>>6<<4)
}

// q4_K: d f16 | dmin f16 | s[12] | q uint4[256]
// 32 bytes of q hold two groups: the low nibbles the even, the high the odd one.
func q4_K(dst []float32, b []byte) {
	d, dmin := half(b), half(b[2:])
	s, qs := b[4:16], b[16:144]
	for g := range 8 {
		sc, mn := scaleMin(s, g)
		scale, minimum := float32(d*sc), float32(dmin*mn)
		shift := uint(g&1) * 4
		for i, q := range qs[g/2*32 : g/2*32+32] {
			dst[g*32+i] = float32(scale*float32(q>>shift&15)) - minimum
		}
	}
}

// q5_K: d f16 | dmin f16 | s[12] | qh[32] | q uint4[256]
// As q4_K; bit g of qh[i] is the fifth bit of element i of group g.
func q5_K(dst []float32, b []byte) {
	d, dmin := half(b), half(b[2:])
	s, qh, qs := b[4:16], b[16:48], b[48:176]
	for g := range 8 {
		sc, mn := scaleMin(s, g)
		scale, minimum := float32(d*sc), float32(dmin*mn)
		shift := uint(g&1) * 4
		for i, q := range qs[g/2*32 : g/2*32+32] {
			v := q>>shift&15 | qh[i]>>uint(g)&1<<4
			dst[g*32+i] = float32(scale*float32(v)) - minimum
		}
	}
}

// q6_K: ql[128] | qh[64] | sc int8[16] | d f16      x = (d*sc[i/16])*(q-32)
//
// Each half of 128 elements takes 64 bytes of ql and 32 of qh. Its element i
// has its low four bits in ql[i%64], the low nibble where i < 64, and its high
// two bits in qh[i%32], bits 2*(i/32).
func q6_K(dst []float32, b []byte) {
	d := half(b[208:])
	for h := range 2 {
		ql, qh, sc := b[h*64:h*64+64], b[128+h*32:128+h*32+32], b[192+h*8:192+h*8+8]
		for i := range 128 {
			low := ql[i%64] >> (uint(i/64) * 4) & 15
			high := qh[i%32] >> (uint(i/32) * 2) & 3
			scale := d * float32(int8(sc[i/16]))
			dst[h*128+i] = scale * float32(int(low|high<<4)-32)
		}
	}
}
