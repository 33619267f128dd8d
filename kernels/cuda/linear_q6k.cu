// Linear with weights in the format Q6K, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_q6k, Q6K)
