// sample_best: the best token of every 4096 of every sample's row, as a rank (see
// sample.cuh); 0 where the logits, or the adjusted ones, hold a NaN.
//
//   samples [n][4], masks [n][(vocab+31)/32], logits [rows][stride]
//   best    [n][chunks] out; chunks = gridDim.x
//
// Grid (chunks, n at most), 256 threads.
#include "sample.cuh"

using namespace sampling;

enum : int { BEST_CHUNK = 4096, BEST_THREADS = 256 };

extern "C" __global__ void __launch_bounds__(BEST_THREADS)
sample_best(const int* __restrict__ count, const int* __restrict__ samples, const SampleSlot* __restrict__ slots,
            const float* __restrict__ logits, int stride, int vocab, const unsigned* __restrict__ masks, u64* __restrict__ best) {
	SHARED(u64, partial, BEST_THREADS / 32);
	int row = blockIdx.y, chunk = blockIdx.x, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
	if (row >= *count) return;
	const int* sample = samples + 4 * row;
	Tokens t = tokens_of(sample, &slots[sample[0]], logits, stride, vocab, masks + int64_t(row) * ((vocab + 31) / 32));
	u64 least = ~0ull;
#pragma unroll 8
	for (int i = 0; i < BEST_CHUNK / BEST_THREADS; i++) {
		int id = chunk * BEST_CHUNK + i * BEST_THREADS + threadIdx.x;
		if (id >= vocab) continue;
		float raw = t.raw(id);
		u64 rank = raw == raw ? rank_of(t.value(id, raw), id) : 0; // a mask must not hide a NaN
		least = min(least, rank);
	}
	for (int o = 16; o; o >>= 1) least = min(least, __shfl_xor_sync(0xFFFFFFFFu, least, o));
	if (lane == 0) partial[warp] = least;
	__syncthreads();
	if (threadIdx.x == 0) {
		for (int w = 1; w < BEST_THREADS / 32; w++) least = min(least, partial[w]);
		best[int64_t(row) * gridDim.x + chunk] = least;
	}
}
EXPORT_KERNEL(sample_best)
