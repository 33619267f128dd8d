// Twins of the PTX instructions that common.cuh wraps: mma, ldmatrix, cp.async,
// lop3, ex2. Fragment layouts are those of the PTX ISA.
#pragma once
#include <cstdint>
#include <cstring>

#include "floats.h"
#include "warp.h"

namespace emu {

// mma.sync.aligned.m16n8k16.row.col: with g = lane/4 and t = lane%4,
//   A [16][16]: a0 = (g, 2t..), a1 = (g+8, 2t..), a2 = (g, 2t+8..), a3 = (g+8, 2t+8..)
//   B [16][8]:  b0 = (2t.., g), b1 = (2t+8.., g)
//   C [16][8]:  c0, c1 = (g, 2t..), c2, c3 = (g+8, 2t..)
// Each 32-bit register holds two neighbours along k, the lower one in the low half.
template <float (*widen)(uint16_t)> struct Mma16816 {
	float* d;
	const uint32_t *a, *b;

	static void finish(uint32_t, void* const* args) {
		float A[16][16], B[16][8], C[16][8];
		for (unsigned lane = 0; lane < 32; lane++) {
			auto& x = *static_cast<Mma16816*>(args[lane]);
			unsigned g = lane >> 2, t = lane & 3;
			for (unsigned i = 0; i < 4; i++)
				for (unsigned h = 0; h < 2; h++) A[g + 8 * (i & 1)][2 * t + 8 * (i >> 1) + h] = widen(uint16_t(x.a[i] >> 16 * h));
			for (unsigned i = 0; i < 2; i++)
				for (unsigned h = 0; h < 2; h++) B[2 * t + 8 * i + h][g] = widen(uint16_t(x.b[i] >> 16 * h));
			for (unsigned i = 0; i < 4; i++) C[g + 8 * (i >> 1)][2 * t + (i & 1)] = x.d[i];
		}
		for (int m = 0; m < 16; m++)
			for (int k = 0; k < 16; k++)
				for (int n = 0; n < 8; n++) C[m][n] += A[m][k] * B[k][n];
		for (unsigned lane = 0; lane < 32; lane++) {
			auto& x = *static_cast<Mma16816*>(args[lane]);
			for (unsigned i = 0; i < 4; i++) x.d[i] = C[(lane >> 2) + 8 * (i >> 1)][2 * (lane & 3) + (i & 1)];
		}
	}
};

// ldmatrix: lanes 8i..8i+7 give the addresses of the rows of matrix i (8 rows of 8
// 16-bit elements); lane l gets elements 2(l%4), 2(l%4)+1 of row l/4 of each, or of
// column l/4 where transposed.
template <int N, bool trans> struct LoadMatrix {
	uint32_t* r;
	const void* row;

	static void finish(uint32_t, void* const* args) {
		uint16_t m[N][8][8];
		for (int i = 0; i < 8 * N; i++) {
			const void* row = static_cast<LoadMatrix*>(args[i])->row;
			if (reinterpret_cast<uintptr_t>(row) % 16) fail(Fault::address, "ldmatrix: a row that is not aligned to 16 bytes");
			memcpy(m[i / 8][i % 8], row, 16);
		}
		for (int lane = 0; lane < 32; lane++)
			for (int i = 0; i < N; i++) {
				int a = lane / 4, b = lane % 4 * 2;
				uint32_t lo = trans ? m[i][b][a] : m[i][a][b], hi = trans ? m[i][b + 1][a] : m[i][a][b + 1];
				static_cast<LoadMatrix*>(args[lane])->r[i] = lo | hi << 16;
			}
	}
};

template <int N, bool trans> static inline void load_matrix(uint32_t* r, const void* row) {
	LoadMatrix<N, trans> args{r, row};
	collective(~0u, trans ? "ldmatrix.trans" : "ldmatrix", &args, LoadMatrix<N, trans>::finish);
}

} // namespace emu

static inline void mma_bf16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
	using Mma = emu::Mma16816<emu::bf16_to_float>;
	Mma args{d, a, b};
	emu::collective(~0u, "mma bf16", &args, Mma::finish);
}
static inline void mma_f16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
	using Mma = emu::Mma16816<emu::half_to_float>;
	Mma args{d, a, b};
	emu::collective(~0u, "mma f16", &args, Mma::finish);
}

static inline void ldmatrix_x1(uint32_t (&r)[1], const void* row) { emu::load_matrix<1, false>(r, row); }
static inline void ldmatrix_x2(uint32_t (&r)[2], const void* row) { emu::load_matrix<2, false>(r, row); }
static inline void ldmatrix_x4(uint32_t (&r)[4], const void* row) { emu::load_matrix<4, false>(r, row); }
static inline void ldmatrix_x1_trans(uint32_t (&r)[1], const void* row) { emu::load_matrix<1, true>(r, row); }
static inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row) { emu::load_matrix<2, true>(r, row); }
static inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) { emu::load_matrix<4, true>(r, row); }

static inline void cp_async16(void* smem, const void* gmem, bool valid = true) { emu::copy_async(smem, valid ? gmem : nullptr, 16); }
static inline void cp_async8(void* smem, const void* gmem, bool valid = true) { emu::copy_async(smem, valid ? gmem : nullptr, 8); }
static inline void cp_async4(void* smem, const void* gmem, bool valid = true) { emu::copy_async(smem, valid ? gmem : nullptr, 4); }
static inline void cp_async_commit() { emu::copy_commit(); }
template <int N> static inline void cp_async_wait() { emu::copy_wait(N); }

static inline uint4 ld_stream16(const void* p) {
	uint4 v;
	if (reinterpret_cast<uintptr_t>(p) % 16) emu::fail(emu::Fault::address, "ld_stream16: an address that is not aligned to 16 bytes");
	memcpy(&v, p, 16);
	return v;
}

// Three-input logic: bit 4a+2b+c of the table is the result for bits a, b, c.
template <unsigned table> static inline uint32_t lop3(uint32_t a, uint32_t b, uint32_t c) {
	uint32_t r = 0;
	for (unsigned i = 0; i < 8; i++)
		if (table >> i & 1) r |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
	return r;
}
static inline uint32_t prmt(uint32_t a, uint32_t b, uint32_t selector) { return __byte_perm(a, b, selector); }
static inline float ex2f(float x) { return exp2f(x); }
static inline float e4m3_to_float(uint8_t v) { return emu::e4m3_to_float(v); }
static inline uint8_t float_to_e4m3(float f) { return emu::float_to_e4m3(f); }
