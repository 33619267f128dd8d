// Linear with weights in the format FP8, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_fp8, FP8)
