// Linear with weights in the format Q8, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_q8, Q8)
