// isa.c: which kernels this processor can run.
#include "isa.h"
#include <stddef.h>
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static const kernels *compiled(int isa) {
  switch (isa) {
    case RK_GENERIC: return &kernels_generic;
#if defined(__aarch64__)
    case RK_NEON: return &kernels_neon;
    case RK_NEON_DOT: return &kernels_neon_dot;
#endif
#if defined(__x86_64__)
    case RK_AVX2: return &kernels_avx2;
    case RK_AVX512: return &kernels_avx512;
#endif
  }
  return NULL;
}

static int supported(int isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#if !defined(__clang__) // which does not know the name; every processor with AVX2 has it
  avx2 = avx2 && __builtin_cpu_supports("f16c");
#endif
  if (isa == RK_AVX2) return avx2;
  if (isa == RK_AVX512)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#endif
#if defined(__aarch64__) && defined(__linux__)
  if (isa == RK_NEON_DOT) return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
  if (isa == RK_NEON_DOT) return 1; // every processor of theirs
#endif
  return isa == RK_GENERIC || isa == RK_NEON;
}

const kernels *kernels_for(int isa) { return supported(isa) ? compiled(isa) : NULL; }

int rk_isa_runs(int isa) { return kernels_for(isa) != NULL; }

const char *rk_isa_name(int isa) {
  static const char *const names[RK_ISAS] = {"generic", "neon", "neon-dot", "avx2", "avx512"};
  return isa >= 0 && isa < RK_ISAS ? names[isa] : "unknown";
}
