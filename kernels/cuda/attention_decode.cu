// Attention of narrow items (attention_plan.go): at most 16 (token, head) pairs over a
// KV head, the case of decoding. Every warp streams its own 16-token slices of K and V
// through a ring of its own in shared memory, so no warp waits for another until the
// end, where the warps' results are merged.
//
//   items     [narrow][8]
//   qkv       [rows][heads + 2*kv_heads][DIM]  bf16; q is read
//   k, v      [page][kv_heads][32][DIM]        bf16
//   out       [rows][heads][DIM]               bf16
//   partials  see attention.cuh
//   sinks     [heads] f32 or null
//
// Blocks: items along x, KV heads along y. Shared: WARPS rings of STAGES of K and V.
#include "attention.cuh"

constexpr int SLICE = 16, STAGES = 3;

// Ring is a warp's STAGES of a slice's K and V.
template <int DIM> struct Ring {
	static constexpr int CHUNKS = DIM / 8, TILE = SLICE * DIM;
	bf16* memory;
	__device__ __forceinline__ bf16* keys(int i) const { return memory + i % STAGES * 2 * TILE; }
	__device__ __forceinline__ bf16* values(int i) const { return keys(i) + TILE; }

	// fill asks for tokens first.. as the ring's i-th slice, k and v being those of
	// the page's tokens first..; tokens outside lo..hi-1 read as zero.
	__device__ __forceinline__ void fill(int i, const bf16* k, const bf16* v, int first, int lo, int hi) const {
		bf16 *to_keys = keys(i), *to_values = values(i);
#pragma unroll
		for (int c = threadIdx.x & 31; c < SLICE * CHUNKS; c += 32) {
			int token = c / CHUNKS, place = tile_place(CHUNKS, token, c % CHUNKS);
			bool valid = first + token >= lo && first + token < hi;
			cp_async16(to_keys + place, k + 8 * c, valid);
			cp_async16(to_values + place, v + 8 * c, valid);
		}
	}
};

// Merge is the warps' results in shared memory, over the rings.
template <int DIM, int WARPS> struct Merge {
	static constexpr int STRIDE = DIM + 8; // keeps rows out of each other's banks
	float* memory;
	__device__ __forceinline__ float* sums(int warp, int row) const { return memory + (warp * 16 + row) * STRIDE; }
	__device__ __forceinline__ float* stats(int warp, int row) const { return memory + WARPS * 16 * STRIDE + (warp * 16 + row) * 2; }
};

template <int DIM, int WARPS>
__device__ __forceinline__ void attention_decode(const int* hdr, int count, const int* items, const int* pages,
                                                 const bf16* qkv, const bf16* k, const bf16* v, bf16* out, float* scratch, int slots,
                                                 const float* sinks, int heads, int kv_heads, int window, float scale) {
	DYN_SMEM(bf16, shared);
	Item it = read_item(items); // there is one for each block; asked for with the count
	if (blockIdx.x >= unsigned(hdr[count])) return;
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, kv_head = blockIdx.y;
	int group = heads / kv_heads, used = it.rows * group;

	// The queries stay in registers, as A fragments.
	uint32_t query[DIM / 16][4];
	Visible visible;
	for (int i = 0; i < 2; i++) {
		int m = lane / 4 + 8 * i, row = it.row + m / group;
		const bf16* q = qkv + (size_t(row) * (heads + 2 * kv_heads) + kv_head * group + m % group) * DIM + 2 * (lane & 3);
		visible.lo[i] = visible.hi[i] = 0;
		if (m < used) see(visible, i, it.pos + m / group, window, it);
#pragma unroll
		for (int d = 0; d < DIM / 16; d++) {
			query[d][i] = m < used ? *reinterpret_cast<const uint32_t*>(q + 16 * d) : 0;
			query[d][2 + i] = m < used ? *reinterpret_cast<const uint32_t*>(q + 16 * d + 8) : 0;
		}
	}

	// This warp's slices are first, first + WARPS, …
	int lo = max(it.from, window_start(it.pos, window)); // the first token that any row sees
	int begin = lo / SLICE * SLICE + warp * SLICE;
	Ring<DIM> ring{shared + warp * STAGES * 2 * Ring<DIM>::TILE};
	auto token_of = [&](int i) { return begin + i * WARPS * SLICE; };
	auto page_of = [&](int i) { return token_of(i) < it.to ? pages[it.table + token_of(i) / PAGE] : 0; };
	int page = page_of(0); // one slice ahead of its use: its latency hides behind the work
	auto ask = [&](int i) {
		int first = token_of(i);
		if (first < it.to) {
			size_t at = ((size_t(page) * kv_heads + kv_head) * PAGE + first % PAGE) * DIM;
			ring.fill(i, k + at, v + at, first, lo, it.to);
			page = page_of(i + 1);
		}
		cp_async_commit();
	};
	for (int i = 0; i < STAGES - 1; i++) ask(i);

	Softmax soft;
	float sums[DIM / 8][4] = {};
	for (int i = 0; token_of(i) < it.to; i++) {
		ask(i + STAGES - 1);
		cp_async_wait<STAGES - 1>();
		__syncwarp();
		float s[2][4] = {};
#pragma unroll
		for (int d = 0; d < DIM / 16; d++) {
			uint32_t b[4];
			load_keys(b, ring.keys(i), DIM / 8, 0, d);
			mma2(s[0], s[1], query[d], b);
		}
		hide(s, visible, token_of(i));
		soften(s, sums, soft, scale * LOG2E);
		weigh<DIM>(sums, s, ring.values(i));
		__syncwarp(); // all lanes have read the stage before it is filled again
	}

	Merge<DIM, WARPS> merge{reinterpret_cast<float*>(shared)};
	__syncthreads(); // the rings are free
	for (int i = 0; i < 2; i++) {
		int m = lane / 4 + 8 * i;
		float sum = quad_sum(soft.sum[i]);
		if ((lane & 3) == 0) merge.stats(warp, m)[0] = soft.top[i], merge.stats(warp, m)[1] = sum;
		float* to = merge.sums(warp, m) + 2 * (lane & 3);
#pragma unroll
		for (int n = 0; n < DIM / 8; n++) to[8 * n] = sums[n][2 * i], to[8 * n + 1] = sums[n][2 * i + 1];
	}
	__syncthreads();

	Partials partials = partials_at(scratch, slots, heads, DIM);
	for (int c = threadIdx.x; c < used * (DIM / 2); c += blockDim.x) {
		int m = c / (DIM / 2), d = c % (DIM / 2) * 2, head = kv_head * group + m % group;
		float top = NO_SCORE, sum = 0.0f, x = 0.0f, y = 0.0f;
		for (int w = 0; w < WARPS; w++) top = fmaxf(top, merge.stats(w, m)[0]);
		for (int w = 0; w < WARPS; w++) {
			float keep = ex2f(merge.stats(w, m)[0] - top);
			sum += keep * merge.stats(w, m)[1];
			x += keep * merge.sums(w, m)[d], y += keep * merge.sums(w, m)[d + 1];
		}
		if (it.slot < 0) {
			float by = divisor(top, sum, sinks, head);
			size_t to = (size_t(it.row + m / group) * heads + head) * DIM + d;
			*reinterpret_cast<uint32_t*>(out + to) = pack_bf16(x * by, y * by);
			continue;
		}
		size_t to = size_t(it.slot + m / group) * heads + head;
		partials.sums[to * DIM + d] = x, partials.sums[to * DIM + d + 1] = y;
		if (d == 0) partials.stats[2 * to] = top, partials.stats[2 * to + 1] = sum;
	}
}

#define ATTENTION_DECODE(name, DIM, WARPS) \
	extern "C" __global__ void __launch_bounds__(32 * WARPS) \
	name(const int* hdr, int count, const int* items, const int* pages, const bf16* qkv, const bf16* k, const bf16* v, \
	     bf16* out, float* scratch, int slots, const float* sinks, int heads, int kv_heads, int window, float scale) { \
		attention_decode<DIM, WARPS>(hdr, count, items, pages, qkv, k, v, out, scratch, slots, sinks, heads, kv_heads, window, scale); \
	} \
	EXPORT_KERNEL(name)

ATTENTION_DECODE(attention_decode_16, 16, 4)
ATTENTION_DECODE(attention_decode_32, 32, 4)
ATTENTION_DECODE(attention_decode_64, 64, 4)
ATTENTION_DECODE(attention_decode_80, 80, 4)
ATTENTION_DECODE(attention_decode_96, 96, 4)
ATTENTION_DECODE(attention_decode_128, 128, 4)
ATTENTION_DECODE(attention_decode_256, 256, 2)
