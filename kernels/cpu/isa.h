// isa.h: kernels by instruction set.
#ifndef RK_ISA_H
#define RK_ISA_H

#include "machine.h"

// NULL: not compiled in, or not for this processor.
const kernels *kernels_for(int isa);

#endif
