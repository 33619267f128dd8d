// out[r][i] = act(gate, up) of a product with a gated matrix, in which rows of gate and
// up alternate by eight:
//
//	x     [rows][x_cols] bf16 or f32; gate i at column i/8*16 + i%8, up 8 further on
//	bias  of those columns, f32, or null
//	out   [rows][cols] bf16
//
// A row a block along x, eight elements a thread along y.
#include "linear.cuh"
#include "vec8.cuh"

template <class In>
__device__ __forceinline__ void activate_interleaved(const int* hdr, bf16* out, int cols, const In* x, int x_cols, const float* bias, int kind,
                                                     float alpha, float limit) {
	int r = blockIdx.x, i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
	if (r >= hdr[HEADER_ROWS] || i >= cols) return;
	float g[8], u[8], v[8];
	load8(g, x + size_t(r) * x_cols + 2 * i);
	load8(u, x + size_t(r) * x_cols + 2 * i + 8);
	for (int j = 0; j < 8; j++) {
		if (bias) g[j] += bias[2 * i + j], u[j] += bias[2 * i + 8 + j];
		v[j] = gated(g[j], u[j], 1 + kind, alpha, limit);
	}
	store8(out + size_t(r) * cols, v, i, cols, cols % 8 == 0);
}

#define ACTIVATE_INTERLEAVED(name, In) \
	extern "C" __global__ void __launch_bounds__(256) \
	name(const int* hdr, bf16* out, int cols, const In* x, int x_cols, const float* bias, int kind, float alpha, float limit) { \
		activate_interleaved<In>(hdr, out, cols, x, x_cols, bias, kind, alpha, limit); \
	} \
	EXPORT_KERNEL(name)

ACTIVATE_INTERLEAVED(activate_interleaved_bf16, bf16)
ACTIVATE_INTERLEAVED(activate_interleaved_f32, float)
