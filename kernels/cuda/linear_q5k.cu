// Linear with weights in the format Q5K, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_q5k, Q5K)
