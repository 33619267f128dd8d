// isa_neon_dot.c: the kernels for arm64 with dot products of int8 (ARMv8.2, all
// server cores since 2019).
#if defined(__aarch64__)
#if defined(__clang__)
#include <arm_neon.h>
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif
#define RK_ISA_NEON
#define RK_ISA_NEON_DOT
#include "kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif

const kernels kernels_neon_dot = {RK_KERNELS("neon-dot"), .acts = FORMS};
#else
typedef int nothing_here; // ISO C wants a declaration
#endif
