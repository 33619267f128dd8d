// Add: out += x.
//
//   x    [rows][cols]  f32 or bf16
//   out  [rows][cols]  f32 or bf16
//
// Blocks: a row along x, eight elements a thread along y.
#include "vec8.cuh"

template <class In, class Out> __device__ __forceinline__ void add(const int* hdr, Out* out, const In* x, int cols) {
	int c = 8 * (blockIdx.y * blockDim.x + threadIdx.x);
	if (blockIdx.x >= unsigned(hdr[HEADER_ROWS]) || c >= cols) return;
	out += size_t(blockIdx.x) * cols;
	float v[8], sum[8];
	load8(v, x + size_t(blockIdx.x) * cols, c, cols, cols % 8 == 0);
	load8(sum, out, c, cols, cols % 8 == 0);
	for (int j = 0; j < 8; j++) sum[j] += v[j];
	store8(out, sum, c, cols, cols % 8 == 0);
}

#define ADD(name, In, Out) \
	extern "C" __global__ void __launch_bounds__(256) name(const int* hdr, Out* out, const In* x, int cols) { \
		add<In, Out>(hdr, out, x, cols); \
	} \
	EXPORT_KERNEL(name)

ADD(add_f32_f32, float, float)
ADD(add_f32_bf16, float, bf16)
ADD(add_bf16_f32, bf16, float)
ADD(add_bf16_bf16, bf16, bf16)
