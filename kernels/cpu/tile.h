// tile.h: the inner loops: R vectors of outputs times T rows of inputs, summed
// over k in order, one fused multiply-add after the other. R and T are
// constants wherever these are called; acc lives in registers.
#ifndef RK_TILE_H
#define RK_TILE_H

#include "machine.h"
#include "vec.h"

#define UNROLL _Pragma("GCC unroll 16")
#define NOINLINE __attribute__((noinline))

#if defined(RK_ISA_AVX512)
enum { TILE = 6, PASS = 2 }; // most rows in a tile; vectors of a panel in a pass
#else
enum { TILE = 3, PASS = 4 };
#endif

// fetch_lines starts reading so many cache lines.
AI void fetch_lines(const void *p, int lines) {
  for (int i = 0; i < lines; i++) __builtin_prefetch((const char *)p + i * 64);
}

// w [n][ld] floats, a[t] [n] floats
AI void tile_f32(const int R, const int T, const float *w, int64_t ld, int n, const float *const *a, vf acc[4][MAX_TILE]) {
  for (int k = 0; k < n; k++, w += ld) {
    vf x[4];
    UNROLL for (int r = 0; r < R; r++) x[r] = vld(w + r * VL);
    UNROLL for (int t = 0; t < T; t++) {
      vf b = vset1(a[t][k]);
      UNROLL for (int r = 0; r < R; r++) acc[r][t] = vfma(x[r], b, acc[r][t]);
    }
  }
}

// w [n][ld] halfs, a[t] [n] floats
AI void tile_f16_f32(const int R, const int T, const uint8_t *w, int64_t ld, int n, const float *const *a, vf acc[4][MAX_TILE]) {
  for (int k = 0; k < n; k++, w += ld * 2)
    UNROLL for (int r = 0; r < R; r++) {
      vf x = vldf16(w + r * VL * 2);
      UNROLL for (int t = 0; t < T; t++) acc[r][t] = vfma(x, vset1(a[t][k]), acc[r][t]);
    }
}

// w [n/2][ld] pairs of bfloat16, a[t] [n] floats; of an odd n the last element
// of the last pair is not looked at
AI void tile_bf16_f32(const int R, const int T, const uint8_t *w, int64_t ld, int n, const float *const *a, vf acc[4][MAX_TILE]) {
  for (int k = 0; k < n; k += 2, w += ld * 4) {
    vu x[4];
    UNROLL for (int r = 0; r < R; r++) x[r] = vldu(w + r * VL * 4);
    UNROLL for (int t = 0; t < T; t++) {
      vf b = vset1(a[t][k]);
      UNROLL for (int r = 0; r < R; r++) acc[r][t] = vfma((vf)(x[r] << 16), b, acc[r][t]);
    }
    if (k + 1 == n) return;
    UNROLL for (int t = 0; t < T; t++) {
      vf b = vset1(a[t][k + 1]);
      UNROLL for (int r = 0; r < R; r++) acc[r][t] = vfma((vf)(x[r] & 0xffff0000u), b, acc[r][t]);
    }
  }
}

#if defined(RK_ISA_AVX512)
AI __m512i broadcast32(const void *p) { int32_t x; memcpy(&x, p, 4); return _mm512_set1_epi32(x); }

// w [n/2][ld] pairs of bfloat16, a[t] [n] bfloat16; of an odd n the last element
// of the last pair is not looked at, but a[t][n] is and must be 0
AI void tile_bf16(const int R, const int T, const uint8_t *w, int64_t ld, int n, const uint16_t *const *a, vf acc[4][MAX_TILE]) {
  int k = 0;
  for (; k + 2 <= n; k += 2, w += ld * 4) {
    __m512i x[4];
    UNROLL for (int r = 0; r < R; r++) x[r] = _mm512_loadu_si512(w + r * 64);
    UNROLL for (int t = 0; t < T; t++) {
      __m512bh b = (__m512bh)broadcast32(a[t] + k);
      UNROLL for (int r = 0; r < R; r++) acc[r][t] = _mm512_dpbf16_ps(acc[r][t], (__m512bh)x[r], b);
    }
  }
  if (k == n) return;
  __m512i low = _mm512_set1_epi32(0xffff);
  UNROLL for (int t = 0; t < T; t++) {
    __m512bh b = (__m512bh)broadcast32(a[t] + k);
    UNROLL for (int r = 0; r < R; r++)
      acc[r][t] = _mm512_dpbf16_ps(acc[r][t], (__m512bh)_mm512_and_si512(_mm512_loadu_si512(w + r * 64), low), b);
  }
}
#endif

// CALL_TILE runs f(T, …) with T a constant.
#if defined(RK_ISA_AVX512)
#define CALL_TILE(T, f, ...) switch (T) { \
  case 1: f(1, __VA_ARGS__); break; case 2: f(2, __VA_ARGS__); break; case 3: f(3, __VA_ARGS__); break; \
  case 4: f(4, __VA_ARGS__); break; case 5: f(5, __VA_ARGS__); break; case 6: f(6, __VA_ARGS__); break; }
#else
#define CALL_TILE(T, f, ...) switch (T) { \
  case 1: f(1, __VA_ARGS__); break; case 2: f(2, __VA_ARGS__); break; case 3: f(3, __VA_ARGS__); break; }
#endif

#endif
