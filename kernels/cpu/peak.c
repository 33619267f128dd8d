// peak.c: see peak.h.
//
// A peak is many accumulators that do not depend on each other, more than the
// unit's latency times its width: 4 to 6 cycles by 2 a cycle on today's cores. As
// many as fit into the registers: 24 of 32, or 12 of 16. The factors are opaque to the compiler, so that no product is computed ahead. All
// values stay small whole numbers: no denormals, no infinities.
#include "peak.h"
#include "rk.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { ROUNDS = 10000, FEW = 12, MANY = 24, AHEAD = 4096 };

// PEAK defines a function that runs STEP, of acc[i], a and b, in so many chains. HIDE
// makes a value opaque and costs no instruction.
#define PEAK(NAME, CHAINS, TARGET, ACC, FACTOR, ONES, STEP) \
  TARGET static void NAME(void) {                         \
    ACC acc[CHAINS] = {0};                                \
    FACTOR a = ONES, b = ONES;                            \
    for (int r = 0; r < ROUNDS; r++) {                    \
      EACH_CHAIN for (int i = 0; i < CHAINS; i++) {       \
        HIDE(a);                                          \
        HIDE(b);                                          \
        acc[i] = STEP;                                    \
        HIDE(acc[i]);                                     \
      }                                                   \
    }                                                     \
  }
#if defined(__clang__)
#define EACH_CHAIN _Pragma("clang loop unroll(full)")
#else
#define EACH_CHAIN _Pragma("GCC unroll 24")
#endif

typedef struct {
  void (*run)(void); // NULL: there is none
  int ops;           // of one step in all chains
} unit;

#if defined(__x86_64__)
#define HIDE(V) __asm__ volatile("" : "+v"(V))
#define AVX512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")))
#define AVX2 __attribute__((target("avx2,fma")))
PEAK(f32_avx512, MANY, AVX512, __m512, __m512, _mm512_set1_ps(1), _mm512_fmadd_ps(a, b, acc[i]))
PEAK(bf16_avx512, MANY, AVX512, __m512, __m512i, _mm512_set1_epi16(0x3f80), _mm512_dpbf16_ps(acc[i], (__m512bh)a, (__m512bh)b))
PEAK(i8_avx512, MANY, AVX512, __m512i, __m512i, _mm512_set1_epi8(1), _mm512_dpbusd_epi32(acc[i], a, b))
PEAK(f32_avx2, FEW, AVX2, __m256, __m256, _mm256_set1_ps(1), _mm256_fmadd_ps(a, b, acc[i]))
// AVX2 has no instruction for sums of four 8-bit products: three make one.
PEAK(i8_avx2, FEW, AVX2, __m256i, __m256i, _mm256_set1_epi8(1),
     _mm256_add_epi32(acc[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1))))
#elif defined(__aarch64__)
#define HIDE(V) __asm__ volatile("" : "+w"(V))
#if !defined(__clang__)
#define DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#elif __clang_major__ >= 16 // older ones hide the intrinsic where the target lacks it
#define DOTPROD __attribute__((target("dotprod")))
#endif
PEAK(f32_neon, MANY, , float32x4_t, float32x4_t, vdupq_n_f32(1), vfmaq_f32(acc[i], a, b))
#if defined(DOTPROD)
PEAK(i8_neon, MANY, DOTPROD, int32x4_t, int8x16_t, vdupq_n_s8(1), vdotq_s32(acc[i], a, b))
#endif
#else
#define HIDE(V) __asm__ volatile("" : "+m"(V))
#endif

#if !defined(__x86_64__)
typedef float four __attribute__((vector_size(16)));
#define GENERIC(TYPE) PEAK(f32_generic, FEW, , TYPE, TYPE, ((TYPE){1, 1, 1, 1}), acc[i] + a * b)
GENERIC(four)
#else
// The x86-64 baseline: SSE2 multiplies and adds apart.
PEAK(f32_generic, FEW, , __m128, __m128, _mm_set1_ps(1), _mm_add_ps(acc[i], _mm_mul_ps(a, b)))
#endif

static unit find(int isa, int kind) {
  if (!rk_isa_runs(isa)) return (unit){0};
  switch (isa * RK_UNITS + kind) {
    case RK_GENERIC * RK_UNITS + RK_UNIT_F32: return (unit){f32_generic, FEW * 2 * 4};
#if defined(__x86_64__)
    case RK_AVX2 * RK_UNITS + RK_UNIT_F32: return (unit){f32_avx2, FEW * 2 * 8};
    case RK_AVX2 * RK_UNITS + RK_UNIT_I8: return (unit){i8_avx2, FEW * 2 * 32};
    case RK_AVX512 * RK_UNITS + RK_UNIT_F32: return (unit){f32_avx512, MANY * 2 * 16};
    case RK_AVX512 * RK_UNITS + RK_UNIT_BF16: return (unit){bf16_avx512, MANY * 2 * 32};
    case RK_AVX512 * RK_UNITS + RK_UNIT_I8: return (unit){i8_avx512, MANY * 2 * 64};
#elif defined(__aarch64__)
    case RK_NEON * RK_UNITS + RK_UNIT_F32:
    case RK_NEON_DOT * RK_UNITS + RK_UNIT_F32: return (unit){f32_neon, MANY * 2 * 4};
#if defined(DOTPROD)
    case RK_NEON_DOT * RK_UNITS + RK_UNIT_I8: return (unit){i8_neon, MANY * 2 * 16};
#endif
#endif
  }
  return (unit){0};
}

double rk_peak_ops(int isa, int kind) { return (double)find(isa, kind).ops * ROUNDS; }

void rk_peak(int isa, int kind) {
  unit u = find(isa, kind);
  if (u.run) u.run();
}

// One stream in order, with the page behind asked for early, is what reads
// fastest; several at once lose a quarter.
uint64_t rk_peak_read(const void *p, size_t bytes) {
  typedef uint64_t two __attribute__((vector_size(16)));
  const two *at = p;
  two a = {0}, b = {0}, c = {0}, d = {0};
  for (size_t i = 0; i < bytes / sizeof(two); i += 4) {
    __builtin_prefetch((const char *)(at + i) + AHEAD);
    a += at[i], b += at[i + 1], c += at[i + 2], d += at[i + 3];
  }
  a += b + c + d;
  return a[0] + a[1];
}
