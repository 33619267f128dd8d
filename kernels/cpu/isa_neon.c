// isa_neon.c: the kernels for arm64.
#if defined(__aarch64__)
#define RK_ISA_NEON
#include "kernels.h"

const kernels kernels_neon = {RK_KERNELS("neon")};
#else
typedef int nothing_here; // ISO C wants a declaration
#endif
