// The packed formats of weights: how a warp reads a record (format.go draws it) and
// makes A fragments of mma.m16n8k16 from it. Codes become bfloat16 exactly, scales
// are applied to the float32 sums of a group of columns, so that the result is what
// the dequantised matrix gives up to float32's rounding.
//
// Each format is a struct with
//
//	depth     records under way in a thread
//	group     columns that share a scale: 32 or 16
//	minimum   whether w = scale*code + offset: the offset multiplies the sum of the
//	          group's inputs
//	shifted   what sum_fragment's codes are too large by: it costs an instruction less
//	          a register to take that off the group's sum, with the sum of its inputs
//	Step      what a lane holds of a record
//	load      reads it, from where `place` says that the lane's part of a tile is
//	fragment  the A fragment of columns 16s..16s+15, in exact codes
//	scale     the scales of rows lane/4 and lane/4+8 in a group, and the offsets
#pragma once
#include "common.cuh"

// A part of a matrix in device memory.
struct Matrix {
	const uint8_t* data;
	const uint32_t* side;
	int shift;  // log2 of the columns that share a side word
	int stride; // 1: a side word a row, 0: one for each eight rows
	int rows, cols;

	__device__ __forceinline__ int steps() const { return (cols + 63) / 64; }
	// log2 of a tile's side words for a group of columns.
	__device__ __forceinline__ int side_tile() const { return stride ? 4 : 1; }
	__device__ __forceinline__ const uint32_t* side_words(int tile) const {
		int groups = (steps() * 64 + (1 << shift) - 1) >> shift;
		return side + ((size_t(tile) * groups) << side_tile());
	}
};

// Where a lane's part of a tile is.
struct Place {
	const uint8_t *codes, *scales;
	const uint32_t *side, *side8; // for rows lane/4 and lane/4+8
	int shift, side_tile;
	int columns; // of bfloat16: what is left from the lane's first column on
};

// Two bfloat16 in a word.
__device__ __forceinline__ bf162 as_bf162(uint32_t v) { return *reinterpret_cast<bf162*>(&v); }
__device__ __forceinline__ uint32_t as_word(bf162 v) { return *reinterpret_cast<uint32_t*>(&v); }
__device__ __forceinline__ uint32_t sub_bf162(uint32_t a, uint32_t b) { return as_word(__hsub2(as_bf162(a), as_bf162(b))); }
__device__ __forceinline__ uint32_t mul_bf162(uint32_t a, uint32_t b) { return as_word(__hmul2(as_bf162(a), as_bf162(b))); }

__device__ __forceinline__ float f16_low(uint32_t v) { return __half2float(__ushort_as_half(uint16_t(v))); }
__device__ __forceinline__ float f16_high(uint32_t v) { return __half2float(__ushort_as_half(uint16_t(v >> 16))); }

// 2^(e-127); 0 is the subnormal 2^-127, 255 NaN.
__device__ __forceinline__ float power8(uint32_t e) {
	return __uint_as_float(e == 0 ? 0x00400000u : e == 255 ? 0x7FC00000u : e << 23);
}

// a*b for byte i of b, rounded once: 2^23 + b are the bits 0x4B0000bb.
__device__ __forceinline__ float times_byte(float a, uint32_t b, int i) {
	return fmaf(a, __uint_as_float(prmt(b, 0x4B000000u, 0x7440u | i)), a * -8388608.0f);
}

// magic | (two codes of up to 7 bits) is 128 + code in bfloat16.
constexpr uint32_t magic = 0x43004300u;

// a & b | c in one instruction.
__device__ __forceinline__ uint32_t and_or(uint32_t a, uint32_t b, uint32_t c) { return lop3<0xEA>(a, b, c); }

__device__ __forceinline__ uint32_t word(const uint4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// 128 + the codes 0..15 of register p.
__device__ __forceinline__ uint32_t nibbles(uint32_t v, int p) { return and_or(v >> (4 * p), 0x000F000Fu, magic); }

// What FormatBF16's rows give of 64 columns. A fragment's columns are permuted:
// lane t of four has columns 8t..8t+7 of each 32, step 2i+j its 4j..4j+3; the input
// is read likewise (linear.cuh).
struct BF16 {
	static constexpr int depth = 2, group = 32;
	static constexpr bool minimum = false, packed = false;
	static constexpr float shifted = 0.0f;
	struct Step { uint4 low[2], high[2]; }; // rows lane/4 and lane/4+8

	static __device__ __forceinline__ Place place(const Matrix& m, int tile, int lane) {
		int stride = (m.cols + 7) / 8 * 8, column = lane % 4 * 8;
		const uint8_t* row = m.data + (size_t(tile * 16 + lane / 4) * stride + column) * 2;
		return {row, row + size_t(16) * stride, nullptr, nullptr, 0, 0, stride - column};
	}
	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		for (int i = 0; i < 2; i++) {
			bool there = step * 64 + 32 * i < at.columns;
			v.low[i] = there ? ld_stream16(at.codes + step * 128 + 64 * i) : make_uint4(0, 0, 0, 0);
			v.high[i] = there ? ld_stream16(at.scales + step * 128 + 64 * i) : make_uint4(0, 0, 0, 0);
		}
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		int i = s / 2, j = s % 2;
		a[0] = word(v.low[i], 2 * j), a[1] = word(v.high[i], 2 * j);
		a[2] = word(v.low[i], 2 * j + 1), a[3] = word(v.high[i], 2 * j + 1);
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) { fragment(a, v, s); }
	static __device__ __forceinline__ void scale(float (&)[2], float (&)[2], const Step&, int) {}
};

// What all packed formats share: where a record and its scales are.
template <int codes, int row_, int depth_> struct Record {
	static constexpr int record = codes + 16 * row_, row = row_, depth = depth_;
	static constexpr bool packed = true;

	static __device__ __forceinline__ Place place(const Matrix& m, int tile, int lane) {
		const uint8_t* first = m.data + size_t(tile) * m.steps() * record;
		Place at = {first + 16 * lane, first + codes + lane / 4 * row, nullptr, nullptr, m.shift, m.side_tile(), 0};
		if (m.side) {
			at.side = m.side_words(tile) + (m.stride ? lane / 4 : 0);
			at.side8 = at.side + (m.stride ? 8 : 1);
		}
		return at;
	}
	// 16 bytes of codes, or those of the plane above them: bytes a lane, `from` on.
	static __device__ __forceinline__ uint4 load_codes(const Place& at, int step, int from = 0) {
		return ld_stream16(at.codes + step * record + from);
	}
	// The scales of row lane/4, or of lane/4+8.
	template <class T> static __device__ __forceinline__ T load_scales(const Place& at, int step, int half) {
		return __ldg(reinterpret_cast<const T*>(at.scales + step * record + 8 * half * row));
	}
	static __device__ __forceinline__ uint32_t load_side(const Place& at, int group, int half) {
		return __ldg((half ? at.side8 : at.side) + (group << at.side_tile));
	}
};

// 8-bit integers, one float16 scale for 32.
struct Q8 : Record<1024, 4, 2> {
	static constexpr int group = 32;
	static constexpr bool minimum = false;
	static constexpr float shifted = 0.0f;
	struct Step { uint4 codes[2]; uint32_t d[2]; };

	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		for (int i = 0; i < 2; i++) v.codes[i] = load_codes(at, step, 512 * i);
		for (int h = 0; h < 2; h++) v.d[h] = load_scales<uint32_t>(at, step, h);
	}
	// A byte's low seven bits l and its sign bit make 128+l and 128 or 256.
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) {
			uint32_t q = word(v.codes[s / 2], s % 2 * 2 + p / 2) >> (p % 2 * 8);
			a[p] = sub_bf162(and_or(q, 0x007F007Fu, magic), and_or(q, 0x00800080u, magic));
		}
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) { fragment(a, v, s); }
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = g ? f16_high(v.d[h]) : f16_low(v.d[h]);
	}
};

// 4-bit integers minus 8, one float16 scale for 32.
struct Q4 : Record<512, 4, 4> {
	static constexpr int group = 32;
	static constexpr bool minimum = false;
	static constexpr float shifted = 136.0f;
	struct Step { uint4 codes; uint32_t d[2]; };

	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		v.codes = load_codes(at, step);
		for (int h = 0; h < 2; h++) v.d[h] = load_scales<uint32_t>(at, step, h);
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) a[p] = nibbles(word(v.codes, s), p);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		sum_fragment(a, v, s);
		for (int p = 0; p < 4; p++) a[p] = sub_bf162(a[p], 0x43084308u); // 136
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = g ? f16_high(v.d[h]) : f16_low(v.d[h]);
	}
};

// 4-bit integers, a float16 scale and offset for 32.
struct Q4M : Record<512, 8, 4> {
	static constexpr int group = 32;
	static constexpr bool minimum = true;
	static constexpr float shifted = 128.0f;
	struct Step { uint4 codes; uint2 dm[2]; };

	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		v.codes = load_codes(at, step);
		for (int h = 0; h < 2; h++) v.dm[h] = load_scales<uint2>(at, step, h);
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) a[p] = nibbles(word(v.codes, s), p);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		sum_fragment(a, v, s);
		for (int p = 0; p < 4; p++) a[p] = sub_bf162(a[p], magic);
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&o)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) {
			uint32_t dm = g ? v.dm[h].y : v.dm[h].x;
			d[h] = f16_low(dm), o[h] = f16_high(dm);
		}
	}
};

// The scales of Q4_K and Q5_K: 6-bit integers for 32 columns, times d; minima times
// dmin of 256.
struct KScales {
	uint32_t bits[2], side[2];

	template <class F> __device__ __forceinline__ void load(const Place& at, int step) {
		for (int h = 0; h < 2; h++) {
			bits[h] = F::template load_scales<uint32_t>(at, step, h);
			side[h] = __ldg((h ? at.side8 : at.side) + step / 4 * 16);
		}
	}
	__device__ __forceinline__ void get(float (&d)[2], float (&o)[2], int g) const {
		for (int h = 0; h < 2; h++) {
			d[h] = times_byte(f16_low(side[h]), bits[h], 2 * g);
			o[h] = times_byte(-f16_high(side[h]), bits[h], 2 * g + 1);
		}
	}
};

struct Q4K : Record<512, 4, 4> {
	static constexpr int group = 32;
	static constexpr bool minimum = true;
	static constexpr float shifted = 128.0f;
	struct Step { uint4 codes; KScales k; };

	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		v.codes = load_codes(at, step);
		v.k.load<Q4K>(at, step);
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) a[p] = nibbles(word(v.codes, s), p);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		sum_fragment(a, v, s);
		for (int p = 0; p < 4; p++) a[p] = sub_bf162(a[p], magic);
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&o)[2], const Step& v, int g) { v.k.get(d, o, g); }
};

struct Q5K : Record<640, 4, 4> {
	static constexpr int group = 32;
	static constexpr bool minimum = true;
	static constexpr float shifted = 128.0f;
	struct Step { uint4 codes; uint32_t high; KScales k; };

	static __device__ __forceinline__ Place place(const Matrix& m, int tile, int lane) {
		Place at = Record::place(m, tile, lane);
		at.columns = 512 - 12 * lane; // from the lane's codes to its word of the fifth bits
		return at;
	}
	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		v.codes = load_codes(at, step);
		v.high = __ldg(reinterpret_cast<const uint32_t*>(at.codes + step * record + at.columns));
		v.k.load<Q5K>(at, step);
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) {
			int bit = 4 * s + p; // goes to bit 4
			uint32_t high = bit < 4 ? v.high << (4 - bit) : v.high >> (bit - 4);
			a[p] = and_or(high, 0x00100010u, nibbles(word(v.codes, s), p));
		}
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		sum_fragment(a, v, s);
		for (int p = 0; p < 4; p++) a[p] = sub_bf162(a[p], magic);
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&o)[2], const Step& v, int g) { v.k.get(d, o, g); }
};

// 6-bit integers minus 32, an 8-bit scale for 16 times d of 256.
struct Q6K : Record<768, 4, 4> {
	static constexpr int group = 16;
	static constexpr bool minimum = false;
	static constexpr float shifted = 0.0f;
	struct Step { uint4 codes; uint2 high; uint32_t sc[2], side[2]; };

	static __device__ __forceinline__ Place place(const Matrix& m, int tile, int lane) {
		Place at = Record::place(m, tile, lane);
		at.columns = 512 - 8 * lane; // from the lane's codes to its words of the upper bits
		return at;
	}
	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		v.codes = load_codes(at, step);
		v.high = __ldg(reinterpret_cast<const uint2*>(at.codes + step * record + at.columns));
		for (int h = 0; h < 2; h++) {
			v.sc[h] = load_scales<uint32_t>(at, step, h);
			v.side[h] = __ldg((h ? at.side8 : at.side) + step / 4 * 16);
		}
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		uint32_t h = s / 2 ? v.high.y : v.high.x;
		for (int p = 0; p < 4; p++) {
			int bit = 8 * (s % 2) + 2 * p; // goes to bit 4
			uint32_t high = bit < 4 ? h << (4 - bit) : h >> (bit - 4);
			a[p] = sub_bf162(and_or(high, 0x00300030u, nibbles(word(v.codes, s), p)), 0x43204320u); // 160
		}
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) { fragment(a, v, s); }
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = f16_low(v.side[h]) * float(int8_t(v.sc[h] >> (8 * g)));
	}
};

// FP4 numbers (e2m1) with one power of two for 32: OCP Microscaling v1.0. The bits
// of a number, put at the low end of bfloat16's exponent, are it times 2^-126.
struct MXFP4 : Record<512, 2, 4> {
	static constexpr int group = 32;
	static constexpr bool minimum = false;
	static constexpr float shifted = 0.0f;
	struct Step { uint4 codes; uint16_t e[2]; };

	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		v.codes = load_codes(at, step);
		for (int h = 0; h < 2; h++) v.e[h] = load_scales<uint16_t>(at, step, h);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		uint32_t w = word(v.codes, s);
		for (int p = 0; p < 4; p++) {
			uint32_t number = p < 2 ? w << (6 - 4 * p) : w >> (4 * p - 6), sign = w << (12 - 4 * p);
			a[p] = mul_bf162(and_or(sign, 0x80008000u, number & 0x01C001C0u), 0x7E807E80u); // 2^126
		}
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) { fragment(a, v, s); }
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = power8(g ? v.e[h] >> 8 : v.e[h] & 255);
	}
};

// 4-bit integers minus a zero point, one float32 scale for the tensor's group (AWQ,
// GPTQ). A side word is the scale with the zero point in place of its low byte.
struct I4 : Record<512, 0, 4> {
	static constexpr int group = 32;
	static constexpr bool minimum = false;
	static constexpr float shifted = 0.0f;
	struct Step { uint4 codes; uint32_t words[2][2]; };

	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		v.codes = load_codes(at, step);
		for (int g = 0; g < 2; g++)
			for (int h = 0; h < 2; h++) v.words[g][h] = load_side(at, (step * 64 + 32 * g) >> at.shift, h);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) {
			uint32_t zero = prmt(v.words[s / 2][p % 2], 0, 0x4040u) | magic; // its low byte in both halves
			a[p] = sub_bf162(nibbles(word(v.codes, s), p), zero);
		}
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) { fragment(a, v, s); }
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = __uint_as_float(v.words[g][h] & ~255u);
	}
};

// FP8 numbers (e4m3), one float32 scale for the tensor's blocks. A number's bits,
// put at the low end of bfloat16's exponent, are it times 2^-120. NaN becomes 480.
struct FP8 : Record<1024, 0, 2> {
	static constexpr int group = 32;
	static constexpr bool minimum = false;
	static constexpr float shifted = 0.0f;
	struct Step { uint4 codes[2]; uint32_t words[2][2]; };

	static __device__ __forceinline__ void load(Step& v, const Place& at, int step) {
		for (int i = 0; i < 2; i++) v.codes[i] = load_codes(at, step, 512 * i);
		for (int g = 0; g < 2; g++)
			for (int h = 0; h < 2; h++) v.words[g][h] = load_side(at, (step * 64 + 32 * g) >> at.shift, h);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) {
			uint32_t w = word(v.codes[s / 2], s % 2 * 2 + p / 2);
			uint32_t number = p % 2 ? w >> 4 : w << 4, sign = p % 2 ? w : w << 8;
			a[p] = mul_bf162(and_or(sign, 0x80008000u, number & 0x07F007F0u), 0x7B807B80u); // 2^120
		}
	}
	static __device__ __forceinline__ void sum_fragment(uint32_t (&a)[4], const Step& v, int s) { fragment(a, v, s); }
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = __uint_as_float(v.words[g][h]);
	}
};

// load without a place at hand.
template <class F> __device__ __forceinline__ void load_step(typename F::Step& v, const Matrix& m, int tile, int step, int lane) {
	F::load(v, F::place(m, tile, lane), step);
}

// The column of a lane's low half of register p in fragment s; the high half has the
// next. Its row is lane/4 + 8*(p%2).
template <class F> __device__ __forceinline__ int fragment_column(int lane, int s, int p) {
	if (F::packed) return 16 * s + 8 * (p / 2) + 2 * (lane % 4);
	return 32 * (s / 2) + 8 * (lane % 4) + 4 * (s % 2) + 2 * (p / 2);
}
