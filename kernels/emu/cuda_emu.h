// What a .cu file sees in place of the CUDA headers when a C++ compiler builds it
// for the emulator. kernels/cuda/common.cuh includes it.
#pragma once
#include "device/atomics.h"
#include "device/floats.h"
#include "device/kernel.h"
#include "device/language.h"
#include "device/math.h"
#include "device/ptx.h"
#include "device/warp.h"
