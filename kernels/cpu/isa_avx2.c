// isa_avx2.c: the kernels for AVX2 with FMA and F16C (Haswell, Zen and later).
#if defined(__x86_64__)
#if defined(__clang__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#define RK_ISA_AVX2
#include "kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif

const kernels kernels_avx2 = {RK_KERNELS("avx2"), .acts = FORMS};
#else
typedef int nothing_here; // ISO C wants a declaration
#endif
