// Linear with weights in the format MXFP4, see formats.cuh and linear.cuh.
#include "linear.cuh"

LINEAR_KERNELS(linear_mxfp4, MXFP4)
