// Attention's partial results of a row, cut along its tokens, become the row: a sum
// weighted by 2^(largest score), divided by the sum of weights and the sink.
//
//   merges    [merges][4]        row, first slot, slots between splits, splits
//   partials  see attention.cuh
//   sinks     [heads] f32 or null
//   out       [rows][heads][dim] bf16
//
// Blocks: merges along x; a warp a head.
#include "attention.cuh"

extern "C" __global__ void __launch_bounds__(128)
attention_combine(const int* hdr, const int* merges, float* scratch, int slots, const float* sinks, bf16* out, int heads, int dim) {
	int head = blockIdx.y * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x & 31;
	if (blockIdx.x >= unsigned(hdr[HEADER_MERGES]) || head >= heads) return;
	const int* merge = merges + 4 * blockIdx.x;
	int row = merge[0], first = merge[1], stride = merge[2], splits = merge[3];
	Partials partials = partials_at(scratch, slots, heads, dim);
	auto stats = [&](int s) { return partials.stats + 2 * (size_t(first + s * stride) * heads + head); };
	float top = NO_SCORE, sum = 0.0f;
	for (int s = lane; s < splits; s += 32) top = fmaxf(top, stats(s)[0]);
	top = warp_max(top);
	for (int s = lane; s < splits; s += 32) sum += ex2f(stats(s)[0] - top) * stats(s)[1];
	float by = divisor(top, warp_sum(sum), sinks, head);
	bf16* to = out + (size_t(row) * heads + head) * dim;
	for (int d = 2 * lane; d < dim; d += 64) {
		float x = 0.0f, y = 0.0f;
#pragma unroll 4
		for (int s = 0; s < splits; s++) {
			float keep = ex2f(stats(s)[0] - top);
			float2 part = *reinterpret_cast<const float2*>(partials.sums + (size_t(first + s * stride) * heads + head) * dim + d);
			x += keep * part.x, y += keep * part.y;
		}
		*reinterpret_cast<uint32_t*>(to + d) = pack_bf16(x * by, y * by);
	}
}
EXPORT_KERNEL(attention_combine)
