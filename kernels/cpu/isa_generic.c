// isa_generic.c: the kernels in plain C with GCC's vectors, for any processor.
#define RK_ISA_GENERIC
#include "kernels.h"

const kernels kernels_generic = {RK_KERNELS("generic")};
