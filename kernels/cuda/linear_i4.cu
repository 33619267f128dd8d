// Linear with weights in the format I4, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_i4, I4)
