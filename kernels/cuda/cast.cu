// Cast: out = x in out's elements, rounded to nearest even.
//
//   x    [rows][cols]  f32 or bf16
//   out  [rows][cols]  f32 or bf16
//
// Blocks: a row along x, eight elements a thread along y.
#include "vec8.cuh"

template <class In, class Out> __device__ __forceinline__ void cast(const int* hdr, Out* out, const In* x, int cols) {
	int c = 8 * (blockIdx.y * blockDim.x + threadIdx.x);
	if (blockIdx.x >= unsigned(hdr[HEADER_ROWS]) || c >= cols) return;
	float v[8];
	load8(v, x + size_t(blockIdx.x) * cols, c, cols, cols % 8 == 0);
	store8(out + size_t(blockIdx.x) * cols, v, c, cols, cols % 8 == 0);
}

#define CAST(name, In, Out) \
	extern "C" __global__ void __launch_bounds__(256) name(const int* hdr, Out* out, const In* x, int cols) { \
		cast<In, Out>(hdr, out, x, cols); \
	} \
	EXPORT_KERNEL(name)

CAST(cast_f32_f32, float, float)
CAST(cast_f32_bf16, float, bf16)
CAST(cast_bf16_f32, bf16, float)
CAST(cast_bf16_bf16, bf16, bf16)
