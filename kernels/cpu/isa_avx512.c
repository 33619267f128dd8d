// isa_avx512.c: the kernels for AVX-512 with VNNI and BF16 (Zen 4, Cooper Lake
// and later).
#if defined(__x86_64__)
#if defined(__clang__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,prfchw"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,prfchw,prefer-vector-width=512")
#endif
#define RK_ISA_AVX512
#include "kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif

const kernels kernels_avx512 = {RK_KERNELS("avx512"), .acts = FORMS};
#else
typedef int nothing_here; // ISO C wants a declaration
#endif
