// Linear with weights in the format BF16, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_bf16, BF16)
