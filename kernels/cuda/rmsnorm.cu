// RMSNorm (arXiv 1910.07467): out[i] = x[r] / sqrt(mean(x[r]^2) + eps) * w.
//
//   x    [rows][cols]  f32 or bf16
//   w    [cols]        f32
//   out  [rows][cols]  f32 or bf16; may be x
//
// With a list, row i of out is of row list[i] of x and the header counts wanted rows;
// without, r = i. A block a row; the second reading of the row comes from the cache.
#include "vec8.cuh"

template <class In, class Out>
__device__ __forceinline__ void rmsnorm(const int* hdr, const int* list, Out* out, const In* x, const float* w, int cols, float eps) {
	int i = blockIdx.x;
	if (i >= hdr[list ? HEADER_LOGITS : HEADER_ROWS]) return;
	x += size_t(list ? list[i] : i) * cols;
	out += size_t(i) * cols;
	bool whole = cols % 8 == 0;
	float v[8], weight[8], sum = 0.0f;
	for (int c = 8 * threadIdx.x; c < cols; c += 8 * blockDim.x) {
		load8(v, x, c, cols, whole);
		for (int j = 0; j < 8; j++) sum += v[j] * v[j];
	}
	float scale = rsqrtf(block_sum(sum) / cols + eps);
	for (int c = 8 * threadIdx.x; c < cols; c += 8 * blockDim.x) {
		load8(v, x, c, cols, whole);
		load8(weight, w, c, cols, whole);
		for (int j = 0; j < 8; j++) v[j] *= scale * weight[j];
		store8(out, v, c, cols, whole);
	}
}

#define RMSNORM(name, In, Out) \
	extern "C" __global__ void __launch_bounds__(512) \
	name(const int* hdr, const int* list, Out* out, const In* x, const float* w, int cols, float eps) { \
		rmsnorm<In, Out>(hdr, list, out, x, w, cols, eps); \
	} \
	EXPORT_KERNEL(name)

RMSNORM(rmsnorm_f32_f32, float, float)
RMSNORM(rmsnorm_f32_bf16, float, bf16)
RMSNORM(rmsnorm_bf16_f32, bf16, float)
RMSNORM(rmsnorm_bf16_bf16, bf16, bf16)
