// Narrow floats: half, bfloat16, e4m3, and their pairs. Arithmetic on them rounds
// after every operation, as the hardware does; __hfma rounds once.
#pragma once
#include <cmath>
#include <cstdint>

#include "language.h"
#include "math.h"

namespace emu {

static inline float half_to_float(uint16_t h) {
	uint32_t sign = uint32_t(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 0x3FF;
	if (exp == 31) return bits<float>(sign | 0x7F800000 | man << 13);
	if (exp == 0) return (sign ? -1.0f : 1.0f) * float(man) * 0x1p-24f;
	return bits<float>(sign | (exp + 112) << 23 | man << 13);
}

// Round to nearest, ties to even; beyond 65504 infinity.
static inline uint16_t float_to_half(float f) {
	uint32_t u = bits<uint32_t>(f), a = u & 0x7FFFFFFF;
	auto sign = uint16_t(u >> 16 & 0x8000);
	if (a > 0x7F800000) return 0x7FFF;
	if (a >= 0x477FF000) return sign | 0x7C00;
	if (a < 0x38800000) // a subnormal half: adding 0.5 leaves the value in units of 2^-24, rounded
		return uint16_t(sign | (bits<uint32_t>(bits<float>(a) + 0.5f) - 0x3F000000));
	return uint16_t(sign | ((a + 0xFFF + (a >> 13 & 1) - 0x38000000) >> 13));
}

static inline float bf16_to_float(uint16_t b) { return bits<float>(uint32_t(b) << 16); }

static inline uint16_t float_to_bf16(float f) {
	uint32_t u = bits<uint32_t>(f);
	if ((u & 0x7FFFFFFF) > 0x7F800000) return 0x7FFF;
	return uint16_t((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

// e4m3 (OCP FP8): 4 bits of exponent with bias 7, no infinity, NaN at 0x7F.
static inline float e4m3_to_float(uint8_t v) {
	int exp = v >> 3 & 15, man = v & 7;
	if (exp == 15 && man == 7) return NAN;
	float a = exp ? std::ldexp(float(8 + man), exp - 10) : float(man) * 0x1p-9f;
	return v & 0x80 ? -a : a;
}

// Round to nearest, ties to even; saturates at 448.
static inline uint8_t float_to_e4m3(float f) {
	if (f != f) return 0x7F;
	uint8_t sign = std::signbit(f) ? 0x80 : 0;
	float a = std::fabs(f);
	if (a >= 448.0f) return sign | 0x7E;
	if (a < 0x1p-6f) return sign | uint8_t(nearbyintf(a * 0x1p9f)); // 8 is the least normal
	int exp;
	float man = std::frexp(a, &exp); // in [0.5, 1)
	auto q = int(nearbyintf(man * 16)); // 8..16
	return sign | uint8_t(((exp + 6) << 3) + (q - 8));
}

} // namespace emu

struct __half {
	uint16_t bits;
};
struct __nv_bfloat16 {
	uint16_t bits;
};
struct alignas(4) __half2 {
	__half x, y;
};
struct alignas(4) __nv_bfloat162 {
	__nv_bfloat16 x, y;
};
struct __nv_fp8_e4m3 {
	uint8_t __x;
};
using half = __half;
using half2 = __half2;
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;

static inline float __half2float(half h) { return emu::half_to_float(h.bits); }
static inline half __float2half(float f) { return {emu::float_to_half(f)}; }
static inline half __float2half_rn(float f) { return {emu::float_to_half(f)}; }
static inline uint16_t __half_as_ushort(half h) { return h.bits; }
static inline half __ushort_as_half(uint16_t b) { return {b}; }
static inline float __bfloat162float(__nv_bfloat16 b) { return emu::bf16_to_float(b.bits); }
static inline __nv_bfloat16 __float2bfloat16(float f) { return {emu::float_to_bf16(f)}; }
static inline __nv_bfloat16 __float2bfloat16_rn(float f) { return {emu::float_to_bf16(f)}; }
static inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 b) { return b.bits; }
static inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t b) { return {b}; }

// Pairs.
static inline half2 __floats2half2_rn(float x, float y) { return {__float2half(x), __float2half(y)}; }
static inline half2 __float22half2_rn(float2 v) { return __floats2half2_rn(v.x, v.y); }
static inline float2 __half22float2(half2 v) { return {__half2float(v.x), __half2float(v.y)}; }
static inline half2 __halves2half2(half x, half y) { return {x, y}; }
static inline half2 __half2half2(half x) { return {x, x}; }
static inline half2 __float2half2_rn(float x) { return __floats2half2_rn(x, x); }
static inline half __low2half(half2 v) { return v.x; }
static inline half __high2half(half2 v) { return v.y; }
static inline float __low2float(half2 v) { return __half2float(v.x); }
static inline float __high2float(half2 v) { return __half2float(v.y); }
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__float2bfloat16(x), __float2bfloat16(y)}; }
static inline __nv_bfloat162 __float22bfloat162_rn(float2 v) { return __floats2bfloat162_rn(v.x, v.y); }
static inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {__bfloat162float(v.x), __bfloat162float(v.y)}; }
static inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
static inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 x) { return {x, x}; }
static inline __nv_bfloat162 __float2bfloat162_rn(float x) { return __floats2bfloat162_rn(x, x); }
static inline __nv_bfloat16 __low2bfloat16(__nv_bfloat162 v) { return v.x; }
static inline __nv_bfloat16 __high2bfloat16(__nv_bfloat162 v) { return v.y; }
static inline float __low2float(__nv_bfloat162 v) { return __bfloat162float(v.x); }
static inline float __high2float(__nv_bfloat162 v) { return __bfloat162float(v.y); }

// Arithmetic. The product of two halves or bfloat16 is exact in float, so that one
// rounding of the float result is the hardware's.
#define EMU_NARROW(T, T2, to, from) \
	static inline T __hadd(T a, T b) { return from(to(a) + to(b)); } \
	static inline T __hsub(T a, T b) { return from(to(a) - to(b)); } \
	static inline T __hmul(T a, T b) { return from(to(a) * to(b)); } \
	static inline T __hfma(T a, T b, T c) { return from(float(double(to(a)) * to(b) + to(c))); } \
	static inline T __hmax(T a, T b) { return from(fmaxf(to(a), to(b))); } \
	static inline T __hmin(T a, T b) { return from(fminf(to(a), to(b))); } \
	static inline T __hneg(T a) { return {uint16_t(a.bits ^ 0x8000)}; } \
	static inline bool __hlt(T a, T b) { return to(a) < to(b); } \
	static inline bool __hgt(T a, T b) { return to(a) > to(b); } \
	static inline T2 __hadd2(T2 a, T2 b) { return {__hadd(a.x, b.x), __hadd(a.y, b.y)}; } \
	static inline T2 __hsub2(T2 a, T2 b) { return {__hsub(a.x, b.x), __hsub(a.y, b.y)}; } \
	static inline T2 __hmul2(T2 a, T2 b) { return {__hmul(a.x, b.x), __hmul(a.y, b.y)}; } \
	static inline T2 __hfma2(T2 a, T2 b, T2 c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }
EMU_NARROW(half, half2, __half2float, __float2half)
EMU_NARROW(__nv_bfloat16, __nv_bfloat162, __bfloat162float, __float2bfloat16)
#undef EMU_NARROW
