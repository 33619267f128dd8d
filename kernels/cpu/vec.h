// vec.h: VL-lane float vectors, the vocabulary of the kernels. The file that
// includes it has chosen an instruction set (RK_ISA_…, target pragma):
//
//   generic  VL 4   GCC vectors: SSE2, NEON without FMA, or what the target has
//   neon     VL 4   with fused multiply-add; neon-dot is the same with int8 tiles
//   avx2     VL 8   AVX2, FMA, F16C
//   avx512   VL 16  AVX-512 F, BW, VL, DQ, VNNI, BF16
//
// Contraction is off (-std=c11): a sum is fused exactly where vfma says so, in
// every tile shape alike, which the determinism law rests on.
#ifndef RK_VEC_H
#define RK_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(RK_ISA_AVX2) || defined(RK_ISA_AVX512)
#include <immintrin.h>
#elif defined(RK_ISA_NEON)
#include <arm_neon.h>
#endif

#define AI static inline __attribute__((always_inline))

#if defined(RK_ISA_AVX512)
enum { VL = 16 };
#elif defined(RK_ISA_AVX2)
enum { VL = 8 };
#else
enum { VL = 4 };
#endif

typedef float vf __attribute__((vector_size(VL * 4)));
typedef int32_t vi __attribute__((vector_size(VL * 4)));
typedef uint32_t vu __attribute__((vector_size(VL * 4)));
typedef uint16_t vh __attribute__((vector_size(VL * 2)));
typedef uint8_t vb __attribute__((vector_size(VL)));
typedef int8_t vsb __attribute__((vector_size(VL)));

AI vf vld(const void *p) { vf v; memcpy(&v, p, sizeof v); return v; }
AI void vst(void *p, vf v) { memcpy(p, &v, sizeof v); }
AI vu vldu(const void *p) { vu v; memcpy(&v, p, sizeof v); return v; }
AI vf vselect(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }

#if defined(RK_ISA_AVX512)
AI vf vset1(float x) { return _mm512_set1_ps(x); }
AI vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
AI vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
AI vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
AI vf vround(vf a) { return _mm512_roundscale_ps(a, 8); }
AI vf vldf16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
AI vf vldu8(const void *p) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p))); }
AI vf vlds8(const void *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p))); }
AI float vsum(vf v) { return _mm512_reduce_add_ps(v); }
AI float vtop(vf v) { return _mm512_reduce_max_ps(v); }
AI vf vscale2(vf p, vf n) { return _mm512_scalef_ps(p, n); }
// an approximation of 14 bits and a Newton step: twice as fast as dividing
AI vf vdiv(vf a, vf b) {
  vf r = _mm512_rcp14_ps(b);
  return a * (r * _mm512_fnmadd_ps(b, r, _mm512_set1_ps(2.f)));
}
#elif defined(RK_ISA_AVX2)
AI vf vset1(float x) { return _mm256_set1_ps(x); }
AI vf vfma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
AI vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
AI vf vmin(vf a, vf b) { return _mm256_min_ps(a, b); }
AI vf vround(vf a) { return _mm256_round_ps(a, 8); }
AI vf vldf16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
AI vf vldu8(const void *p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p))); }
AI vf vlds8(const void *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p))); }
#else
AI vf vset1(float x) { return (vf){x, x, x, x}; }
#if defined(RK_ISA_NEON)
AI vf vfma(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#else
AI vf vfma(vf a, vf b, vf c) { return a * b + c; }
#endif
AI vf vmax(vf a, vf b) { return vselect((vi)(a > b), a, b); }
AI vf vmin(vf a, vf b) { return vselect((vi)(a < b), a, b); }
// adding and taking away 1.5 * 2^23 rounds to an integer, for |a| < 2^22
AI vf vround(vf a) { vf magic = vset1(12582912.f); return (a + magic) - magic; }
// the exponent of a half is moved by multiplication; subnormals apart
AI vf vldf16(const void *p) {
  vh h; memcpy(&h, p, sizeof h);
  vu w = __builtin_convertvector(h, vu) << 16, sign = w & 0x80000000u, two = w + w;
  vf normal = (vf)((two >> 4) + (0xE0u << 23)) * 0x1.0p-112f;
  vf small = (vf)((two >> 17) | (126u << 23)) - 0.5f;
  return (vf)(sign | (vu)vselect((vi)(two < (1u << 27)), small, normal));
}
#endif

#if !defined(RK_ISA_AVX512)
#if !defined(RK_ISA_AVX2) // GCC would widen a byte at a time there
AI vf vldu8(const void *p) { vb b; memcpy(&b, p, sizeof b); return __builtin_convertvector(__builtin_convertvector(b, vi), vf); }
AI vf vlds8(const void *p) { vsb b; memcpy(&b, p, sizeof b); return __builtin_convertvector(__builtin_convertvector(b, vi), vf); }
#endif
// p * 2^n, n a whole number and the result normal
AI vf vscale2(vf p, vf n) { return p * (vf)((__builtin_convertvector(n, vi) + 127) << 23); }
AI vf vdiv(vf a, vf b) { return a / b; }

// Sum and maximum over the lanes, as a tree of fixed shape.
AI float vsum(vf v) {
  float t[VL];
  memcpy(t, &v, sizeof t);
  for (int w = VL / 2; w; w /= 2)
    for (int i = 0; i < w; i++) t[i] += t[i + w];
  return t[0];
}
AI float vtop(vf v) {
  float t[VL];
  memcpy(t, &v, sizeof t);
  for (int w = VL / 2; w; w /= 2)
    for (int i = 0; i < w; i++) t[i] = t[i] > t[i + w] ? t[i] : t[i + w];
  return t[0];
}
#endif
AI int32_t vsumi(vi v) {
  int32_t t[VL], s = 0;
  memcpy(t, &v, sizeof t);
  for (int i = 0; i < VL; i++) s += t[i];
  return s;
}
// Lanes whose index is below n.
AI vi vbelow(int n) {
  vi lane;
  for (int i = 0; i < VL; i++) lane[i] = i;
  return (vi)(lane < n);
}

// 2^x for x <= 0 or so, relative error 2e-7; below -126 it stays at 2^-126, so
// a term that must not count is masked, not made small.
AI vf vexp2(vf x) {
  x = vmax(x, vset1(-126.f));
  vf n = vround(x), f = x - n;
  vf p = vset1(1.5403530e-4f);
  p = vfma(p, f, vset1(1.3333558e-3f));
  p = vfma(p, f, vset1(9.6181291e-3f));
  p = vfma(p, f, vset1(5.5504109e-2f));
  p = vfma(p, f, vset1(2.4022651e-1f));
  p = vfma(p, f, vset1(6.9314718e-1f));
  p = vfma(p, f, vset1(1.f));
  return vscale2(p, n);
}
// silu(g) * u = g / (1 + e^-g) * u
AI vf vsilumul(vf g, vf u) {
  vf x = vmin(g * vset1(-1.44269504f), vset1(126.f));
  return vdiv(g, vexp2(x) + vset1(1.f)) * u;
}

// bfloat16, round to nearest even; NaN stays NaN
AI uint16_t bf16_from(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 64);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// x[0..n) * mul * w (w may be NULL) into dst, zeros up to padded
AI void scale_row(float *dst, const float *x, int n, int padded, float mul, const float *w) {
  vf m = vset1(mul);
  int k = 0;
  for (; k + VL <= n; k += VL) vst(dst + k, w ? vld(x + k) * m * vld(w + k) : vld(x + k) * m);
  for (; k < n; k++) dst[k] = w ? x[k] * mul * w[k] : x[k] * mul;
  for (; k < padded; k++) dst[k] = 0;
}
// 1/sqrt(mean(x^2) + eps)
AI float rms_factor(const float *x, int n, float eps) {
  vf a = vset1(0), b = a;
  int k = 0;
  for (; k + 2 * VL <= n; k += 2 * VL) {
    vf u = vld(x + k), v = vld(x + k + VL);
    a = vfma(u, u, a);
    b = vfma(v, v, b);
  }
  float s = vsum(a + b);
  for (; k < n; k++) s += x[k] * x[k];
  return 1.f / sqrtf(s / (float)n + eps);
}

#endif
