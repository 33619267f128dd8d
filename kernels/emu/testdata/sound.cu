// Kernels that use what the emulator offers, for the tests to compare with plain
// loops.
#include "../../cuda/common.cuh"

// Shuffles of both halves of a warp under masks of their own, at different times.
extern "C" __global__ void halves(int* out) {
	int lane = threadIdx.x & 31, v = lane;
	if (lane < 16) {
		for (int i = 0; i < 3; i++) v = __shfl_xor_sync(0xFFFFu, v, 1 << i) + 1;
	} else {
		v = __shfl_down_sync(0xFFFF0000u, v, 1, 16);
		v += __shfl_up_sync(0xFFFF0000u, v, 2, 16);
	}
	__syncwarp();
	out[threadIdx.x] = v + __shfl_sync(~0u, v, 31 - lane);
}
// ballot, all, any, match and reductions of one value a lane; 8 results each.
extern "C" __global__ void votes(const int* in, int* out) {
	int v = in[threadIdx.x], *o = out + 8 * threadIdx.x;
	o[0] = int(__ballot_sync(~0u, v & 1));
	o[1] = __all_sync(~0u, v > 0);
	o[2] = __any_sync(~0u, v == 7);
	o[3] = int(__match_any_sync(~0u, v & 3));
	o[4] = __reduce_add_sync(~0u, v);
	o[5] = __reduce_min_sync(~0u, v);
	o[6] = __reduce_max_sync(~0u, v);
	o[7] = int(__reduce_xor_sync(~0u, unsigned(v)));
}
// The lanes that have returned are not waited for.
extern "C" __global__ void early(int* out) {
	if (threadIdx.x >= 20) return;
	out[threadIdx.x] = __popc(__ballot_sync(~0u, 1));
}
extern "C" __global__ void sums(const float* in, float* out) {
	float v = in[blockIdx.x * blockDim.x + threadIdx.x];
	float s = block_sum(v), m = block_max(v);
	int c = __syncthreads_count(v > 0);
	if (threadIdx.x == 0) out[3 * blockIdx.x] = s, out[3 * blockIdx.x + 1] = m, out[3 * blockIdx.x + 2] = float(c);
}
EXPORT_KERNEL(halves)
EXPORT_KERNEL(votes)
EXPORT_KERNEL(early)
EXPORT_KERNEL(sums)

// d[16][8] += a[16][16] b[8][16]^T by one warp: rows through shared memory and
// ldmatrix, so that its layout is that of mma.
template <bool bf> __device__ void multiply(const uint16_t* a, const uint16_t* b, float* d) {
	SHARED(uint16_t, sa, 256);
	SHARED(uint16_t, sb, 128);
	int lane = threadIdx.x;
	for (int i = lane; i < 32; i += 32) cp_async16(sa + 8 * i, a + 8 * i);
	if (lane < 16) cp_async16(sb + 8 * lane, b + 8 * lane);
	cp_async_commit();
	cp_async_wait<0>();
	__syncwarp();
	uint32_t fa[4], fb[2];
	ldmatrix_x4(fa, sa + (lane & 15) * 16 + (lane >> 4) * 8);
	ldmatrix_x2(fb, sb + (lane & 7) * 16 + (lane >> 3 & 1) * 8);
	int row = lane / 4, col = lane % 4 * 2;
	float f[4] = {d[row * 8 + col], d[row * 8 + col + 1], d[(row + 8) * 8 + col], d[(row + 8) * 8 + col + 1]};
	if (bf)
		mma_bf16_16816(f, fa, fb);
	else
		mma_f16_16816(f, fa, fb);
	d[row * 8 + col] = f[0], d[row * 8 + col + 1] = f[1];
	d[(row + 8) * 8 + col] = f[2], d[(row + 8) * 8 + col + 1] = f[3];
}
extern "C" __global__ void multiply_bf16(const uint16_t* a, const uint16_t* b, float* d) { multiply<true>(a, b, d); }
extern "C" __global__ void multiply_f16(const uint16_t* a, const uint16_t* b, float* d) { multiply<false>(a, b, d); }
EXPORT_KERNEL(multiply_bf16)
EXPORT_KERNEL(multiply_f16)

// out[32][4] = what each lane gets of four transposed 8x8 matrices, rows of 8.
extern "C" __global__ void transposed(const uint16_t* in, uint32_t* out) {
	SHARED(uint16_t, m, 256);
	for (int i = threadIdx.x; i < 256; i += 32) m[i] = in[i];
	__syncwarp();
	uint32_t r[4];
	ldmatrix_x4_trans(r, m + 8 * threadIdx.x);
	for (int i = 0; i < 4; i++) out[4 * threadIdx.x + i] = r[i];
}
EXPORT_KERNEL(transposed)

// Two groups of copies, of which the older one is waited for: out[0] is what it
// brought, out[1] what is there of the newer one, out[2] of that after its wait, out[3] a copy
// that is not valid.
extern "C" __global__ void groups(const float* in, float* out) {
	DYN_SMEM(float, tile);
	cp_async16(tile, in);
	cp_async_commit();
	cp_async16(tile + 4, in + 4);
	cp_async16(tile + 8, nullptr, false);
	cp_async_commit();
	cp_async_wait<1>();
	out[0] = tile[0];
	out[1] = tile[4];
	cp_async_wait<0>();
	out[2] = tile[4];
	out[3] = tile[8];
}
EXPORT_KERNEL(groups)

// Last block done: the block that counts last adds up what all have left.
extern "C" __global__ void last_block(const int* in, int* partial, unsigned* count, int* out) {
	SHARED(int, last, 1);
	int sum = __reduce_add_sync(~0u, in[blockIdx.x * 32 + threadIdx.x]);
	if (threadIdx.x == 0) {
		partial[blockIdx.x] = sum;
		__threadfence();
		last[0] = atomicInc(count, gridDim.x - 1) == gridDim.x - 1;
	}
	__syncthreads();
	if (last[0] && threadIdx.x == 0) {
		int total = 0;
		for (unsigned i = 0; i < gridDim.x; i++) total += partial[i];
		*out = total;
	}
}
EXPORT_KERNEL(last_block)

// Arguments of every size, and two dimensions of everything.
extern "C" __global__ void arguments(char a, short b, int c, long long d, float e, double f, float4 g, double* out) {
	if (threadIdx.x == 1 && threadIdx.y == 2 && blockIdx.x == 1 && blockIdx.y == 1)
		*out = a + b + c + double(d) + e + f + g.x + g.w + blockDim.y + gridDim.y;
}
EXPORT_KERNEL(arguments)

// x[i] += by, the driver tests' everyday kernel; a count of how often it ran.
extern "C" __global__ void add_to(float* x, float by, int n) {
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < n) x[i] += by;
}
extern "C" __global__ void dynamic_sum(float* out, int n) {
	DYN_SMEM(float, tile);
	for (int i = threadIdx.x; i < n; i += blockDim.x) tile[i] = 1;
	__syncthreads();
	float s = 0;
	for (int i = threadIdx.x; i < n; i += blockDim.x) s += tile[i];
	s = block_sum(s);
	if (threadIdx.x == 0) *out = s;
}
EXPORT_KERNEL(add_to)
EXPORT_KERNEL(dynamic_sum)
