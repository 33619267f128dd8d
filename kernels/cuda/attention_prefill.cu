// Attention of wide items (attention_plan.go): up to PAIRS (token, head) pairs over a
// KV head, FlashAttention-2's shape: 4 warps of 16*SETS pairs share tiles of TOKENS
// tokens; K and V are double-buffered, each asked for while the other is multiplied. A
// fragment of K or V that is read serves all sets: with one, shared memory would be
// what prompts wait for.
//
//   items     [wide][8]
//   qkv       [rows][heads + 2*kv_heads][DIM]  bf16; q is read
//   k, v      [page][kv_heads][32][DIM]        bf16
//   out       [rows][heads][DIM]               bf16
//   partials  see attention.cuh
//   sinks     [heads] f32 or null
//
// Blocks: items along x; along y KV heads times the cuts of a group of more than PAIRS.
// Shared: queries [PAIRS][DIM], K and V [2][TOKENS][DIM] each.
#include "attention.cuh"

constexpr int WARPS = 4;

// load_tile asks for tokens first..first+TOKENS-1 of one KV head; those outside
// lo..hi-1 read as zero. All of the block's threads call.
template <int DIM, int TOKENS>
__device__ __forceinline__ void load_tile(bf16* tile, const bf16* cache, const int* table, int kv_heads, int kv_head, int first, int lo, int hi) {
	constexpr int CHUNKS = DIM / 8;
	for (int p = 0; p < TOKENS / PAGE; p++) {
		int page = first + p * PAGE < hi ? table[first / PAGE + p] : 0;
		const bf16* from = cache + (size_t(page) * kv_heads + kv_head) * PAGE * DIM;
#pragma unroll
		for (int c = threadIdx.x; c < PAGE * CHUNKS; c += 32 * WARPS) {
			int token = p * PAGE + c / CHUNKS;
			bool valid = first + token >= lo && first + token < hi;
			cp_async16(tile + tile_place(CHUNKS, token, c % CHUNKS), from + 8 * c, valid);
		}
	}
}

template <int DIM, int TOKENS, int SETS>
__device__ __forceinline__ void attention_prefill(const int* hdr, int count, const int* items, const int* pages,
                                                  const bf16* qkv, const bf16* k, const bf16* v, bf16* out, float* scratch, int slots,
                                                  const float* sinks, int heads, int kv_heads, int window, float scale) {
	constexpr int CHUNKS = DIM / 8, TILE = TOKENS * DIM, PAIRS = 16 * SETS * WARPS;
	DYN_SMEM(bf16, queries);
	Item it = read_item(items); // there is one for each block; asked for with the count
	if (blockIdx.x >= unsigned(hdr[count])) return;
	bf16 *keys = queries + PAIRS * DIM, *values = keys + 2 * TILE;
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
	int group = heads / kv_heads, cuts = (group + PAIRS - 1) / PAIRS, kv_head = blockIdx.y / cuts;
	int side = min(group, PAIRS), from_head = blockIdx.y % cuts * PAIRS; // heads of the group in this block
	int used = it.rows * side;
	auto head_of = [&](int m) { return from_head + m % side; }; // within the group
	auto is_used = [&](int m) { return m < used && head_of(m) < group; };

	int lo = max(it.from, window_start(it.pos, window)), hi = it.to; // what any row sees
	int begin = lo / PAGE * PAGE, tiles = (hi - begin + TOKENS - 1) / TOKENS;
	const int* table = pages + it.table;
	auto ask = [&](bf16* to, const bf16* cache, int i) {
		if (i < tiles) load_tile<DIM, TOKENS>(to + i % 2 * TILE, cache, table, kv_heads, kv_head, begin + i * TOKENS, lo, hi);
		cp_async_commit();
	};

	for (int c = threadIdx.x; c < PAIRS * CHUNKS; c += 32 * WARPS) {
		int m = c / CHUNKS;
		bool valid = is_used(m);
		size_t q = valid ? (size_t(it.row + m / side) * (heads + 2 * kv_heads) + kv_head * group + head_of(m)) * DIM + c % CHUNKS * 8 : 0;
		cp_async16(queries + tile_place(CHUNKS, m, c % CHUNKS), qkv + q, valid);
	}
	ask(keys, k, 0); // the queries are of this group too
	ask(values, v, 0);

	auto pair_of = [&](int set, int i) { return 16 * (SETS * warp + set) + lane / 4 + 8 * i; };
	int seen_from = max(it.from, window_start(it.pos + it.rows - 1, window)); // every row sees these: no mask
	int seen_to = min(it.to, it.pos + 1);

	Softmax soft[SETS];
	float sums[SETS][DIM / 8][4] = {};
	for (int i = 0; i < tiles; i++) {
		int first = begin + i * TOKENS;
		ask(keys, k, i + 1); // over the keys before the last, which all warps have multiplied: there was a barrier since
		cp_async_wait<2>();
		__syncthreads();
		float s[SETS][TOKENS / 8][4] = {};
#pragma unroll
		for (int d = 0; d < DIM / 16; d++) {
			uint32_t a[SETS][4], b[4];
#pragma unroll
			for (int set = 0; set < SETS; set++) load_query(a[set], queries, CHUNKS, 16 * (SETS * warp + set), d);
#pragma unroll
			for (int n = 0; n < TOKENS / 16; n++) {
				load_keys(b, keys + i % 2 * TILE, CHUNKS, 16 * n, d);
#pragma unroll
				for (int set = 0; set < SETS; set++) mma2(s[set][2 * n], s[set][2 * n + 1], a[set], b);
			}
		}
		ask(values, v, i + 1);
#pragma unroll
		for (int set = 0; set < SETS; set++) {
			if (first < seen_from || first + TOKENS > seen_to) {
				Visible visible; // not kept over the loop: most tiles need none
#pragma unroll
				for (int r = 0; r < 2; r++) {
					int m = pair_of(set, r);
					visible.lo[r] = visible.hi[r] = 0;
					if (m < used) see(visible, r, it.pos + m / side, window, it);
				}
				hide(s[set], visible, first);
			}
			soften(s[set], sums[set], soft[set], scale * LOG2E);
		}
		cp_async_wait<2>();
		__syncthreads();
#pragma unroll
		for (int j = 0; j < TOKENS / 16; j++) {
			uint32_t a[SETS][4], b[4];
#pragma unroll
			for (int set = 0; set < SETS; set++) weights_fragment(a[set], s[set], j);
#pragma unroll
			for (int n = 0; n < DIM / 16; n++) {
				load_values(b, values + i % 2 * TILE, CHUNKS, 16 * j, n);
#pragma unroll
				for (int set = 0; set < SETS; set++) mma2(sums[set][2 * n], sums[set][2 * n + 1], a[set], b);
			}
		}
	}

	Partials partials = partials_at(scratch, slots, heads, DIM);
#pragma unroll
	for (int set = 0; set < SETS; set++) {
#pragma unroll
		for (int i = 0; i < 2; i++) {
			int m = pair_of(set, i);
			float sum = quad_sum(soft[set].sum[i]);
			if (!is_used(m)) continue;
			int head = kv_head * group + head_of(m);
			if (it.slot < 0) {
				float by = divisor(soft[set].top[i], sum, sinks, head);
				bf16* to = out + (size_t(it.row + m / side) * heads + head) * DIM + 2 * (lane & 3);
#pragma unroll
				for (int n = 0; n < DIM / 8; n++) {
					*reinterpret_cast<uint32_t*>(to + 8 * n) = pack_bf16(sums[set][n][2 * i] * by, sums[set][n][2 * i + 1] * by);
				}
				continue;
			}
			size_t slot = size_t(it.slot + m / side) * heads + head;
			if ((lane & 3) == 0) partials.stats[2 * slot] = soft[set].top[i], partials.stats[2 * slot + 1] = sum;
			float* to = partials.sums + slot * DIM + 2 * (lane & 3);
#pragma unroll
			for (int n = 0; n < DIM / 8; n++) to[8 * n] = sums[set][n][2 * i], to[8 * n + 1] = sums[set][n][2 * i + 1];
		}
	}
}

#define ATTENTION_PREFILL(name, DIM, TOKENS, SETS) \
	extern "C" __global__ void __launch_bounds__(32 * WARPS, 2) \
	name(const int* hdr, int count, const int* items, const int* pages, const bf16* qkv, const bf16* k, const bf16* v, \
	     bf16* out, float* scratch, int slots, const float* sinks, int heads, int kv_heads, int window, float scale) { \
		attention_prefill<DIM, TOKENS, SETS>(hdr, count, items, pages, qkv, k, v, out, scratch, slots, sinks, heads, kv_heads, window, scale); \
	} \
	EXPORT_KERNEL(name)

ATTENTION_PREFILL(attention_prefill_16, 16, 64, 1)
ATTENTION_PREFILL(attention_prefill_32, 32, 64, 2)
ATTENTION_PREFILL(attention_prefill_64, 64, 64, 2)
ATTENTION_PREFILL(attention_prefill_80, 80, 64, 2)
ATTENTION_PREFILL(attention_prefill_96, 96, 32, 2)
ATTENTION_PREFILL(attention_prefill_128, 128, 32, 2)
ATTENTION_PREFILL(attention_prefill_256, 256, 32, 1)
