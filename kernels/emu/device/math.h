// Arithmetic: the fast-math names and the integer intrinsics. glibc declares some of
// the names itself: those are renamed.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

using std::max;
using std::min;
static inline unsigned min(unsigned a, int b) { return std::min(a, unsigned(b)); }
static inline unsigned min(int a, unsigned b) { return std::min(unsigned(a), b); }
static inline unsigned max(unsigned a, int b) { return std::max(a, unsigned(b)); }
static inline unsigned max(int a, unsigned b) { return std::max(unsigned(a), b); }

#define __expf emu_expf
#define __exp10f emu_exp10f
#define __logf emu_logf
#define __log2f emu_log2f
#define __log10f emu_log10f
#define __sinf emu_sinf
#define __cosf emu_cosf
#define __powf emu_powf
#define __sincosf emu_sincosf
#define exp10f emu_exp10f
static inline float emu_expf(float x) { return expf(x); }
static inline float emu_exp10f(float x) { return powf(10.0f, x); }
static inline float emu_logf(float x) { return logf(x); }
static inline float emu_log2f(float x) { return log2f(x); }
static inline float emu_log10f(float x) { return log10f(x); }
static inline float emu_sinf(float x) { return sinf(x); }
static inline float emu_cosf(float x) { return cosf(x); }
static inline float emu_powf(float x, float y) { return powf(x, y); }
static inline void emu_sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; } // NaN: 0

namespace emu {
template <class To, class From> static inline To bits(From v) {
	static_assert(sizeof(To) == sizeof(From));
	To r;
	memcpy(&r, &v, sizeof r);
	return r;
}
} // namespace emu

static inline int __float_as_int(float x) { return emu::bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return emu::bits<unsigned>(x); }
static inline float __int_as_float(int x) { return emu::bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return emu::bits<float>(x); }
static inline int __float2int_rn(float x) { return int(nearbyintf(x)); }
static inline int __float2int_rz(float x) { return int(x); }
static inline int __float2int_rd(float x) { return int(floorf(x)); }
static inline unsigned __float2uint_rn(float x) { return unsigned(nearbyintf(x)); }
static inline float __int2float_rn(int x) { return float(x); }
static inline float __uint2float_rn(unsigned x) { return float(x); }

static inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
static inline int __mulhi(int a, int b) { return int(int64_t(a) * b >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
	return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline unsigned __brev(unsigned x) {
	unsigned r = 0;
	for (int i = 0; i < 32; i++) r |= (x >> i & 1) << (31 - i);
	return r;
}
static inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned s) {
	return unsigned(((uint64_t(hi) << 32 | lo) << (s & 31)) >> 32);
}
static inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned s) {
	return unsigned((uint64_t(hi) << 32 | lo) >> (s & 31));
}

// Byte permutation: nibble i of the selector chooses byte i of the result out of
// the eight of b:a; its high bit replicates the sign (PTX prmt.b32, default mode).
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
	uint64_t from = uint64_t(b) << 32 | a;
	unsigned r = 0;
	for (int i = 0; i < 4; i++) {
		unsigned s = selector >> 4 * i & 15, byte = unsigned(from >> 8 * (s & 7)) & 0xFF;
		if (s & 8) byte = byte & 0x80 ? 0xFF : 0;
		r |= byte << 8 * i;
	}
	return r;
}

// Four products of bytes, summed onto c.
static inline int __dp4a(int a, int b, int c) {
	for (int i = 0; i < 4; i++) c += int(int8_t(a >> 8 * i)) * int8_t(b >> 8 * i);
	return c;
}
static inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
	for (int i = 0; i < 4; i++) c += (a >> 8 * i & 0xFF) * (b >> 8 * i & 0xFF);
	return c;
}

// Arithmetic on the four bytes of a word.
#define EMU_BYTES(name, T, expr) \
	static inline unsigned name(unsigned a, unsigned b) { \
		unsigned r = 0; \
		for (int i = 0; i < 4; i++) { \
			int x = T(a >> 8 * i), y = T(b >> 8 * i); \
			r |= unsigned((expr) & 0xFF) << 8 * i; \
		} \
		return r; \
	}
EMU_BYTES(__vadd4, int8_t, x + y)
EMU_BYTES(__vsub4, int8_t, x - y)
EMU_BYTES(__vsubss4, int8_t, std::clamp(x - y, -128, 127))
EMU_BYTES(__vcmpeq4, uint8_t, x == y ? 0xFF : 0)
EMU_BYTES(__vcmpne4, uint8_t, x != y ? 0xFF : 0)
#undef EMU_BYTES
