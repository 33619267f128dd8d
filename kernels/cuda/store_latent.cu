// StoreLatent (DeepSeek-V2, arXiv 2405.04434): RMSNorm of a row's latents, RoPE of its
// tail, the row into its page; RoPE of the tails of q's heads.
//
//   q      [rows][heads][nope + rope]   bf16, tails changed in place
//   kv     [rows][rank + rope]          bf16, changed in place
//   pages  [page][32][rank + rope]      bf16
//   norm   [rank]                       f32
//   cosines, sines  [position][rotary/2]
//
// Blocks: a row along x; y 0 is the kv row, y 1 the queries, a warp a head in turns.
#include "rope.cuh"

extern "C" __global__ void __launch_bounds__(128)
store_latent(const int* hdr, const int* pos, const int* seq, const int* seqs, const int* tables, bf16* q, bf16* kv, bf16* pages,
             const float* norm, float eps, const float* cosines, const float* sines, int rotary, int interleaved,
             int heads, int rank, int nope, int rope) {
	int row = blockIdx.x, warp = threadIdx.x / 32;
	if (row >= hdr[HEADER_ROWS]) return;
	int at = pos[row];
	size_t turned = size_t(at) * (rotary / 2);
	Turn turn{cosines + turned, sines + turned, rotary, interleaved};
	if (blockIdx.y == 1) {
		q += size_t(row) * heads * (nope + rope) + nope;
		for (int h = warp; h < heads; h += blockDim.x / 32) rotate_row(q + size_t(h) * (nope + rope), nullptr, rope, {nullptr, 0.0f}, turn);
		return;
	}
	bf16* x = kv + size_t(row) * (rank + rope);
	bf16* to = pages + (size_t(tables[seqs[SEQ_WORDS * seq[row] + SEQ_TABLE] + at / PAGE]) * PAGE + at % PAGE) * (rank + rope);
	float sum = 0.0f;
	for (int i = threadIdx.x; i < rank; i += blockDim.x) sum += to_float(x[i]) * to_float(x[i]);
	float scale = rsqrtf(block_sum(sum) / rank + eps);
	for (int i = threadIdx.x; i < rank; i += blockDim.x) x[i] = to[i] = from_float<bf16>(to_float(x[i]) * scale * norm[i]);
	if (warp == 0) rotate_row(x + rank, to + rank, rope, {nullptr, 0.0f}, turn);
}
EXPORT_KERNEL(store_latent)
