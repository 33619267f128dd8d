// out[r] = Σ weights[r][k] * results[slots[r][k]] over k in its order.
//
//	results  [pairs][cols] bf16, a row a slot
//	slots    [rows][top_k]
//	weights  [rows][top_k] f32
//	out      [rows][cols] bf16, f32 or f32 +=
//
// A row a block along x, eight elements a thread along y.
#include "batch.cuh"
#include "vec8.cuh"

extern "C" __global__ void __launch_bounds__(256)
combine_experts(const int* hdr, void* out, int store, int cols, const bf16* results, const int* slots, const float* weights, int top_k) {
	int r = blockIdx.x, i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
	if (r >= hdr[HEADER_ROWS] || i >= cols) return;
	bool whole = cols % 8 == 0;
	size_t at = size_t(r) * cols;
	float sum[8] = {}, v[8];
	for (int k = 0; k < top_k; k++) {
		float w = weights[r * top_k + k];
		load8(v, results + size_t(slots[r * top_k + k]) * cols, i, cols, whole);
		for (int j = 0; j < 8; j++) sum[j] += w * v[j];
	}
	if (store == 2) {
		load8(v, static_cast<float*>(out) + at, i, cols, whole);
		for (int j = 0; j < 8; j++) sum[j] += v[j];
	}
	if (store == 0) {
		store8(static_cast<bf16*>(out) + at, sum, i, cols, whole);
	} else {
		store8(static_cast<float*>(out) + at, sum, i, cols, whole);
	}
}
EXPORT_KERNEL(combine_experts)
