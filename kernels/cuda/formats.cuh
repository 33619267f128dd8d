// The packed formats of weights: how a warp reads a record (format.go draws it) and
// makes A fragments of mma.m16n8k16 from it. Codes become bfloat16 exactly, scales
// are applied to the float32 sums of a group of columns, so that the result is what
// the dequantised matrix gives up to float32's rounding.
//
// Each format is a struct with
//
//	name            its number in format.go
//	record, scales  a record's bytes, those of its codes before the scales
//	depth           records under way in a thread
//	group           columns that share a scale: 32 or 16
//	minimum         whether w = scale*code + offset: the offset multiplies the
//	                sum of the group's inputs
//	Step            what a lane holds of a record
//	load            reads it
//	fragment        the A fragment of columns 16s..16s+15
//	scale           those of rows lane/4 and lane/4+8 in a group, and the offsets
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
	__device__ __forceinline__ int side_tile() const { return stride ? 16 : 2; }
	__device__ __forceinline__ const uint32_t* side_words(int tile, int column) const {
		int groups = (steps() * 64 + (1 << shift) - 1) >> shift;
		return side + (size_t(tile) * groups + (column >> shift)) * side_tile();
	}
	// The index of row f's word among a tile's.
	__device__ __forceinline__ int side_row(int f) const { return stride ? f : f >> 3; }
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

// magic + (two codes of up to 7 bits) is 128 + code in bfloat16.
constexpr uint32_t magic = 0x43004300u;

__device__ __forceinline__ uint32_t word(const uint4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// The codes 0..15 of register p in the low bits of both halves.
__device__ __forceinline__ uint32_t nibbles(uint32_t v, int p) { return v >> (4 * p) & 0x000F000Fu; }

// What FormatBF16's rows give of 64 columns. A fragment's columns are permuted:
// lane t of four has columns 8t..8t+7 of each 32, step 2i+j its 4j..4j+3; the input
// is read likewise (linear.cuh).
struct BF16 {
	static constexpr int name = 0, record = 0, scales = 0, depth = 2, group = 32;
	static constexpr bool minimum = false, packed = false;
	struct Step { uint4 low[2], high[2]; }; // rows lane/4 and lane/4+8

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		int stride = (m.cols + 7) / 8 * 8, column = step * 64 + lane % 4 * 8;
		const bf16* row = reinterpret_cast<const bf16*>(m.data) + size_t(tile * 16 + lane / 4) * stride + column;
		for (int i = 0; i < 2; i++) {
			bool there = column + 32 * i < stride;
			v.low[i] = there ? ld_stream16(row + 32 * i) : make_uint4(0, 0, 0, 0);
			v.high[i] = there ? ld_stream16(row + size_t(8) * stride + 32 * i) : make_uint4(0, 0, 0, 0);
		}
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		int i = s / 2, j = s % 2;
		a[0] = word(v.low[i], 2 * j), a[1] = word(v.high[i], 2 * j);
		a[2] = word(v.low[i], 2 * j + 1), a[3] = word(v.high[i], 2 * j + 1);
	}
	static __device__ __forceinline__ void scale(float (&)[2], float (&)[2], const Step&, int) {}
};

// What all packed formats share: where a record and its scales are.
template <int codes_, int row_, int depth_> struct Record {
	static constexpr int scales = codes_, record = codes_ + 16 * row_, depth = depth_, row = row_;
	static constexpr bool packed = true;

	static __device__ __forceinline__ const uint8_t* at(const Matrix& m, int tile, int step) {
		return m.data + (size_t(tile) * m.steps() + step) * record;
	}
	// The scales of row lane/4, those of row lane/4+8 are 8*row bytes on.
	template <class T> static __device__ __forceinline__ T row_scales(const uint8_t* record, int lane, int half) {
		return __ldg(reinterpret_cast<const T*>(record + scales + (lane / 4 + 8 * half) * row));
	}
};

// 8-bit integers, one float16 scale for 32.
struct Q8 : Record<1024, 4, 2> {
	static constexpr int name = 1, group = 32;
	static constexpr bool minimum = false;
	struct Step { uint4 codes[2]; uint32_t d[2]; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		const uint8_t* r = at(m, tile, step);
		for (int i = 0; i < 2; i++) v.codes[i] = ld_stream16(r + 512 * i + 16 * lane);
		for (int h = 0; h < 2; h++) v.d[h] = row_scales<uint32_t>(r, lane, h);
	}
	// A byte's low seven bits l and its sign bit make 128+l and 128 or 256.
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) {
			uint32_t q = word(v.codes[s / 2], s % 2 * 2 + p / 2) >> (p % 2 * 8);
			a[p] = sub_bf162((q & 0x007F007Fu) | magic, (q & 0x00800080u) | magic);
		}
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = g ? f16_high(v.d[h]) : f16_low(v.d[h]);
	}
};

// 4-bit integers minus 8, one float16 scale for 32.
struct Q4 : Record<512, 4, 4> {
	static constexpr int name = 2, group = 32;
	static constexpr bool minimum = false;
	struct Step { uint4 codes; uint32_t d[2]; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		const uint8_t* r = at(m, tile, step);
		v.codes = ld_stream16(r + 16 * lane);
		for (int h = 0; h < 2; h++) v.d[h] = row_scales<uint32_t>(r, lane, h);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) a[p] = sub_bf162(nibbles(word(v.codes, s), p) | magic, 0x43084308u); // 136
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = g ? f16_high(v.d[h]) : f16_low(v.d[h]);
	}
};

// 4-bit integers, a float16 scale and offset for 32.
struct Q4M : Record<512, 8, 4> {
	static constexpr int name = 3, group = 32;
	static constexpr bool minimum = true;
	struct Step { uint4 codes; uint2 dm[2]; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		const uint8_t* r = at(m, tile, step);
		v.codes = ld_stream16(r + 16 * lane);
		for (int h = 0; h < 2; h++) v.dm[h] = row_scales<uint2>(r, lane, h);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) a[p] = sub_bf162(nibbles(word(v.codes, s), p) | magic, magic);
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

	template <class F> __device__ __forceinline__ void load(const Matrix& m, const uint8_t* record, int tile, int step, int lane) {
		const uint32_t* words = m.side_words(tile, step * 64);
		for (int h = 0; h < 2; h++) {
			bits[h] = F::template row_scales<uint32_t>(record, lane, h);
			side[h] = __ldg(words + lane / 4 + 8 * h);
		}
	}
	__device__ __forceinline__ void get(float (&d)[2], float (&o)[2], int g) const {
		for (int h = 0; h < 2; h++) {
			uint32_t b = bits[h] >> (16 * g);
			d[h] = f16_low(side[h]) * float(b & 255), o[h] = -(f16_high(side[h]) * float(b >> 8 & 255));
		}
	}
};

struct Q4K : Record<512, 4, 4> {
	static constexpr int name = 4, group = 32;
	static constexpr bool minimum = true;
	struct Step { uint4 codes; KScales k; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		const uint8_t* r = at(m, tile, step);
		v.codes = ld_stream16(r + 16 * lane);
		v.k.load<Q4K>(m, r, tile, step, lane);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) a[p] = sub_bf162(nibbles(word(v.codes, s), p) | magic, magic);
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&o)[2], const Step& v, int g) { v.k.get(d, o, g); }
};

struct Q5K : Record<640, 4, 4> {
	static constexpr int name = 5, group = 32;
	static constexpr bool minimum = true;
	struct Step { uint4 codes; uint32_t high; KScales k; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		const uint8_t* r = at(m, tile, step);
		v.codes = ld_stream16(r + 16 * lane);
		v.high = __ldg(reinterpret_cast<const uint32_t*>(r + 512) + lane);
		v.k.load<Q5K>(m, r, tile, step, lane);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) {
			uint32_t high = (v.high >> (4 * s + p) & 0x00010001u) << 4;
			a[p] = sub_bf162(nibbles(word(v.codes, s), p) | high | magic, magic);
		}
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&o)[2], const Step& v, int g) { v.k.get(d, o, g); }
};

// 6-bit integers minus 32, an 8-bit scale for 16 times d of 256.
struct Q6K : Record<768, 4, 4> {
	static constexpr int name = 6, group = 16;
	static constexpr bool minimum = false;
	struct Step { uint4 codes; uint2 high; uint32_t sc[2], side[2]; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		const uint8_t* r = at(m, tile, step);
		v.codes = ld_stream16(r + 16 * lane);
		v.high = __ldg(reinterpret_cast<const uint2*>(r + 512) + lane);
		const uint32_t* words = m.side_words(tile, step * 64);
		for (int h = 0; h < 2; h++) {
			v.sc[h] = row_scales<uint32_t>(r, lane, h);
			v.side[h] = __ldg(words + lane / 4 + 8 * h);
		}
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		uint32_t h = s / 2 ? v.high.y : v.high.x;
		for (int p = 0; p < 4; p++) {
			uint32_t high = (h >> (8 * (s % 2) + 2 * p) & 0x00030003u) << 4;
			a[p] = sub_bf162(nibbles(word(v.codes, s), p) | high | magic, 0x43204320u); // 160
		}
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = f16_low(v.side[h]) * float(int8_t(v.sc[h] >> (8 * g)));
	}
};

// FP4 numbers (e2m1) with one power of two for 32: OCP Microscaling v1.0. The bits
// of a number, put at the low end of bfloat16's exponent, are it times 2^-126.
struct MXFP4 : Record<512, 2, 4> {
	static constexpr int name = 7, group = 32;
	static constexpr bool minimum = false;
	struct Step { uint4 codes; uint16_t e[2]; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		const uint8_t* r = at(m, tile, step);
		v.codes = ld_stream16(r + 16 * lane);
		for (int h = 0; h < 2; h++) v.e[h] = row_scales<uint16_t>(r, lane, h);
	}
	static __device__ __forceinline__ uint32_t numbers(uint32_t q) {
		return mul_bf162((q & 0x00070007u) << 6 | (q & 0x00080008u) << 12, 0x7E807E80u); // 2^126
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) a[p] = numbers(nibbles(word(v.codes, s), p));
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = power8(g ? v.e[h] >> 8 : v.e[h] & 255);
	}
};

// Side words of both groups of a step, for rows lane/4 and lane/4+8.
struct SideScales {
	uint32_t words[2][2];

	__device__ __forceinline__ void load(const Matrix& m, int tile, int step, int lane) {
		for (int g = 0; g < 2; g++) {
			const uint32_t* w = m.side_words(tile, step * 64 + 32 * g);
			for (int h = 0; h < 2; h++) words[g][h] = __ldg(w + m.side_row(lane / 4 + 8 * h));
		}
	}
};

// 4-bit integers minus a zero point, one float32 scale for the tensor's group (AWQ,
// GPTQ). A side word is the scale with the zero point in place of its low byte.
struct I4 : Record<512, 0, 4> {
	static constexpr int name = 8, group = 32;
	static constexpr bool minimum = false;
	struct Step { uint4 codes; SideScales s; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		v.codes = ld_stream16(at(m, tile, step) + 16 * lane);
		v.s.load(m, tile, step, lane);
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) {
			uint32_t zero = (v.s.words[s / 2][p % 2] & 127) * 0x00010001u | magic;
			a[p] = sub_bf162(nibbles(word(v.codes, s), p) | magic, zero);
		}
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = __uint_as_float(v.s.words[g][h] & ~255u);
	}
};

// FP8 numbers (e4m3), one float32 scale for the tensor's blocks. A number's bits,
// put at the low end of bfloat16's exponent, are it times 2^-120. NaN becomes 480.
struct FP8 : Record<1024, 0, 2> {
	static constexpr int name = 9, group = 32;
	static constexpr bool minimum = false;
	struct Step { uint4 codes[2]; SideScales s; };

	static __device__ __forceinline__ void load(Step& v, const Matrix& m, int tile, int step, int lane) {
		const uint8_t* r = at(m, tile, step);
		for (int i = 0; i < 2; i++) v.codes[i] = ld_stream16(r + 512 * i + 16 * lane);
		v.s.load(m, tile, step, lane);
	}
	static __device__ __forceinline__ uint32_t numbers(uint32_t high) { // in the halves' high bytes
		return mul_bf162((high & 0x80008000u) | (high & 0x7F007F00u) >> 4, 0x7B807B80u); // 2^120
	}
	static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Step& v, int s) {
		for (int p = 0; p < 4; p++) {
			uint32_t q = word(v.codes[s / 2], s % 2 * 2 + p / 2);
			a[p] = numbers(p % 2 ? q : q << 8);
		}
	}
	static __device__ __forceinline__ void scale(float (&d)[2], float (&)[2], const Step& v, int g) {
		for (int h = 0; h < 2; h++) d[h] = __uint_as_float(v.s.words[g][h]);
	}
};

// The sixteen columns of fragment s that a lane holds, in the order of its registers'
// halves: register p has rows lane/4 + 8*(p%2) and columns fragment_column and the next.
template <class F> __device__ __forceinline__ int fragment_column(int lane, int s, int p) {
	if (F::packed) return 16 * s + 8 * (p / 2) + 2 * (lane % 4);
	return 32 * (s / 2) + 8 * (lane % 4) + 4 * (s % 2) + 2 * (p / 2);
}
