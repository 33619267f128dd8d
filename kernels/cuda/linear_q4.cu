// Linear with weights in the format Q4, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_q4, Q4)
