// StoreKV: RMSNorm of each query and key head (where given), RoPE (arXiv 2104.09864),
// and K and V into the row's page.
//
//   qkv    [rows][heads + 2*kv_heads][dim]  bf16, q and k changed in place
//   k, v   [page][kv_heads][32][dim]        bf16
//   q_norm, k_norm  [dim]                   f32 or null
//   cosines, sines  [position][rotary/2]    f32
//
// Blocks: a row along x; a warp a head.
#include "rope.cuh"

extern "C" __global__ void __launch_bounds__(128)
store_kv(const int* hdr, const int* pos, const int* seq, const int* seqs, const int* pages, bf16* qkv, bf16* k, bf16* v,
         const float* q_norm, const float* k_norm, float eps, const float* cosines, const float* sines, int rotary, int interleaved,
         int heads, int kv_heads, int dim) {
	int row = blockIdx.x, head = blockIdx.y * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x & 31;
	if (row >= hdr[HEADER_ROWS] || head >= heads + 2 * kv_heads) return;
	bf16* x = qkv + (size_t(row) * (heads + 2 * kv_heads) + head) * dim;
	int at = pos[row], own = head - heads; // own: of k and then v
	size_t turned = size_t(at) * (rotary / 2);
	Turn turn{cosines + turned, sines + turned, rotary, interleaved};
	if (own < 0) {
		rotate_row(x, nullptr, dim, {q_norm, eps}, turn);
		return;
	}
	bool is_key = own < kv_heads;
	int page = pages[seqs[SEQ_WORDS * seq[row] + SEQ_TABLE] + at / PAGE];
	size_t to = ((size_t(page) * kv_heads + (is_key ? own : own - kv_heads)) * PAGE + at % PAGE) * dim;
	if (is_key) {
		rotate_row(x, k + to, dim, {k_norm, eps}, turn);
		return;
	}
	for (int i = 8 * lane; i < dim; i += 8 * 32) *reinterpret_cast<uint4*>(v + to + i) = *reinterpret_cast<const uint4*>(x + i);
}
EXPORT_KERNEL(store_kv)
