// sample_draw: each sample's token, by temperature, min-p, top-k and top-p, and its
// slot's state after it. Greedy rows take the best of sample_best and end there.
//
//   samples [n][4], masks [n][(vocab+31)/32], logits [rows][stride]
//   best    [n][chunks] of sample_best
//   ids     [n] out: the token, -1 where there is a NaN, -2 where nothing is allowed
//   last    [slots] out: the token, where there is one
//
// A row is read from the caches once for top-k or top-p, once more for each of the
// two, and once for the draw; rows of temperature alone or with min-p once. Grid n
// at most, 1024 threads.
#include "sample_cut.cuh"

using namespace sampling;

// uniform is the random number of a seed, a choice and a position, in units of
// 2^-53: Philox4x32-10 (Salmon et al., SC 2011).
static __device__ u64 uniform(u64 seed, u64 choice, u64 pos) {
	unsigned c0 = unsigned(pos), c1 = unsigned(pos >> 32), c2 = unsigned(choice), c3 = unsigned(choice >> 32);
	unsigned k0 = unsigned(seed), k1 = unsigned(seed >> 32);
	for (int round = 0; round < 10; round++) {
		unsigned hi0 = __umulhi(0xD2511F53u, c0), lo0 = 0xD2511F53u * c0;
		unsigned hi1 = __umulhi(0xCD9E8D57u, c2), lo1 = 0xCD9E8D57u * c2;
		c0 = hi1 ^ c1 ^ k0;
		c1 = lo1;
		c2 = hi0 ^ c3 ^ k1;
		c3 = lo0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	return (u64(c1) << 32 | c0) >> 11;
}

// best_of is the least rank of a row's chunks.
static __device__ u64 best_of(const u64* best, int chunks) {
	SHARED(u64, partial, 32);
	u64 least = ~0ull;
	for (int i = threadIdx.x; i < chunks; i += blockDim.x) least = min(least, best[i]);
	for (int o = 16; o; o >>= 1) least = min(least, __shfl_xor_sync(0xFFFFFFFFu, least, o));
	if ((threadIdx.x & 31) == 0) partial[threadIdx.x >> 5] = least;
	__syncthreads();
	for (int w = 0; w < int(blockDim.x >> 5); w++) least = min(least, partial[w]);
	__syncthreads();
	return least;
}

// last_kept is the rank behind which top-k and top-p cut everything off.
static __device__ u64 last_kept(const Tokens& t, const Weights& w, int top_k, double top_p) {
	SHARED(unsigned, coarse_count, CUT_THREADS);
	SHARED(u64, coarse_mass, CUT_THREADS);
	SHARED(unsigned, fine_count, CUT_THREADS);
	SHARED(u64, fine_mass, CUT_THREADS);
	SHARED(u64, list, CUT_THREADS);
	Cut cut{t, w, false, {coarse_count, coarse_mass}, {fine_count, fine_mass}, list};
	Cut::Totals total = cut.count();
	u64 rank = ~0ull;
#pragma unroll 1 // one copy of the code: two would not fit the registers
	for (int step = 0; step < 2; step++) {
		bool by_count = step == 0;
		u64 want = u64(top_k);
		if (by_count ? top_k <= 0 || want >= total.count : top_p >= 1) continue;
		if (!by_count) {
			double need = ceil(double(total.mass) * top_p);
			want = need > 1 ? min(u64(need), total.mass) : 1;
		}
		Cut::Last l = cut.at(by_count, want);
		rank = l.rank;
		total.mass = l.mass;
	}
	return rank;
}

// pick is the lowest id for which the weights of the tokens up to it, none of which
// comes after last, sum to more than u*2^-53 of all. The vocabulary is divided among
// the warps, then the part where it is, and so on.
static __device__ int pick(const Tokens& t, const Weights& w, u64 last, u64 u) {
	SHARED(u64, sums, 32);
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
	int from = 0, to = t.vocab;
	u64 target = 0;
	for (bool first = true; first || to - from > 1; first = false) {
		int part = (to - from + warps - 1) / warps;
		int begin = from + warp * part, end = min(begin + part, to);
		u64 sum = 0;
#pragma unroll 4
		for (int id = begin + lane; id < end; id += 32) {
			float v = t.at(id);
			u64 weight = w.of(w.depth(v));
			if (rank_of(v, id) <= last) sum += weight;
		}
		sum = warp_total(sum);
		if (lane == 0) sums[warp] = sum;
		__syncthreads();
		if (first) { // floor(total*u): the sum exceeds total*u where it exceeds this
			u64 total = 0;
			for (int i = 0; i < warps; i++) total += sums[i];
			target = __umul64hi(total, u << 11);
		}
		int i = 0;
		for (; i < warps - 1 && sums[i] <= target; i++) target -= sums[i];
		__syncthreads(); // sums may be written again
		from += i * part;
		to = min(from + part, to);
	}
	return from;
}

// count_token notes a generated token.
static __device__ void count_token(SampleSlot& s, int token) {
	s.generated++;
	if (!s.counts) return;
	unsigned times = s.table[token];
	s.table[token] = uint16_t((times & TABLE_TIMES) < TABLE_TIMES ? times + 1 : times) | uint16_t(TABLE_SEEN);
}

extern "C" __global__ void __launch_bounds__(CUT_THREADS)
sample_draw(const int* __restrict__ count, const int* __restrict__ samples, SampleSlot* __restrict__ slots,
            const float* __restrict__ logits, int stride, int vocab, const unsigned* __restrict__ masks,
            const u64* __restrict__ best, int chunks, int* __restrict__ ids, int* __restrict__ last) {
	int row = blockIdx.x;
	if (row >= *count) return;
	const int* sample = samples + 4 * row;
	SampleSlot& slot = slots[sample[0]];
	Tokens t = tokens_of(sample, &slot, logits, stride, vocab, masks + int64_t(row) * ((vocab + 31) / 32));
	u64 first = best_of(best + int64_t(row) * chunks, chunks);
	float top = rank_value(first);
	if (first == 0 || top == minus_infinity()) {
		if (threadIdx.x == 0) ids[row] = first == 0 ? -1 : -2;
		return;
	}
	int token = rank_id(first);
	if (slot.scale > 0) {
		Weights w{top, slot.scale, slot.least};
		u64 kept = ~0ull;
		if (slot.top_k > 0 || slot.top_p < 1) kept = last_kept(t, w, slot.top_k, slot.top_p);
		token = pick(t, w, kept, uniform(slot.seed, slot.choice, u64(int64_t(sample[2]))));
	}
	if (threadIdx.x == 0) {
		ids[row] = token;
		last[sample[0]] = token;
		count_token(slot, token);
	}
}
EXPORT_KERNEL(sample_draw)
