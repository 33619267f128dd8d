// A part of a packed matrix becomes row-major bfloat16: for products of so many rows
// that a dense one is faster.
//
//	out  [rows][stride] bf16, zeros from column cols on
//
// A warp a record, four records of a tile a block.
#include "formats.cuh"

template <class F>
__device__ __forceinline__ void dequant(const uint8_t* data, const uint32_t* side, int shift, int side_stride, int rows, int cols,
                                        bf16* out, int stride) {
	int lane = threadIdx.x % 32, tile = blockIdx.y, step = blockIdx.x * 4 + threadIdx.x / 32;
	Matrix m = {data, side, shift, side_stride, rows, cols};
	if (step >= m.steps()) return;
	typename F::Step v;
	load_step<F>(v, m, tile, step, lane);
#pragma unroll
	for (int s = 0; s < 4; s++) {
		uint32_t a[4];
		float d[2] = {1.0f, 1.0f}, o[2] = {};
		F::fragment(a, v, s);
		F::scale(d, o, v, F::group == 16 ? s : s / 2);
		for (int p = 0; p < 4; p++) {
			int row = tile * 16 + lane / 4 + p % 2 * 8, column = step * 64 + fragment_column<F>(lane, s, p);
			if (row >= rows || column >= stride) continue;
			float w[2] = {bf16_low(a[p]) * d[p % 2] + (F::minimum ? o[p % 2] : 0.0f), bf16_high(a[p]) * d[p % 2] + (F::minimum ? o[p % 2] : 0.0f)};
			if (column >= cols) w[0] = 0.0f;
			if (column + 1 >= cols) w[1] = 0.0f;
			*reinterpret_cast<uint32_t*>(out + size_t(row) * stride + column) = pack_bf16(w[0], w[1]);
		}
	}
}

#define DEQUANT(name, F) \
	extern "C" __global__ void __launch_bounds__(128) \
	name(const uint8_t* data, const uint32_t* side, int shift, int side_stride, int rows, int cols, bf16* out, int stride) { \
		dequant<F>(data, side, shift, side_stride, rows, cols, out, stride); \
	} \
	EXPORT_KERNEL(name)

DEQUANT(dequant_bf16, BF16)
DEQUANT(dequant_q8, Q8)
DEQUANT(dequant_q4, Q4)
DEQUANT(dequant_q4m, Q4M)
DEQUANT(dequant_q4k, Q4K)
DEQUANT(dequant_q5k, Q5K)
DEQUANT(dequant_q6k, Q6K)
DEQUANT(dequant_mxfp4, MXFP4)
DEQUANT(dequant_i4, I4)
DEQUANT(dequant_fp8, FP8)
