// Linear with weights in the format Q4M, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_q4m, Q4M)
