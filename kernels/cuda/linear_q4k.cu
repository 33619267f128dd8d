// Linear with weights in the format Q4K, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_q4k, Q4K)
