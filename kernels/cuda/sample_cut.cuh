// Where a row's tokens are cut: the k-th token in order, or the first by which a
// mass is reached, exactly and without sorting the row. All functions are called
// by all threads of a block of CUT_THREADS.
//
// 1. A histogram of the tokens by their depth, 24 bins to a power of two, says in
//    which bin the cut is.
// 2. If more than CUT_THREADS tokens are in that bin (a flat row, many equal
//    values), it is split by rank, 10 bits at a time.
// 3. What is left is gathered, sorted by rank and summed up in that order.
#pragma once
#include "sample.cuh"

namespace sampling {

enum : int { CUT_THREADS = 1024, CUT_BITS = 10 };

__device__ __forceinline__ u64 warp_total(u64 v) {
	for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xFFFFFFFFu, v, o);
	return v;
}

// block_scan is the sum of v over the threads before this one; total, over all.
__device__ inline u64 block_scan(u64 v, u64* total) {
	SHARED(u64, sums, 32);
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
	u64 upto = v;
	for (int o = 1; o < 32; o <<= 1) {
		u64 left = __shfl_up_sync(0xFFFFFFFFu, upto, o);
		if (lane >= o) upto += left;
	}
	if (lane == 31) sums[warp] = upto;
	__syncthreads();
	u64 before = 0, all = 0;
	for (int w = 0; w < warps; w++) {
		if (w < warp) before += sums[w];
		all += sums[w];
	}
	__syncthreads(); // sums may be written again
	*total = all;
	return before + upto - v;
}

// each_token calls f(id, value, whether there is such a token) for all ids, with the
// whole warp together. Four values are on their way at a time.
template <class F> __device__ __forceinline__ void each_token(const Tokens& t, F f) {
	for (int base = 0; base < t.vocab; base += 4 * CUT_THREADS) {
		float v[4];
#pragma unroll
		for (int j = 0; j < 4; j++) {
			int id = base + j * CUT_THREADS + threadIdx.x;
			v[j] = id < t.vocab ? t.at(id) : minus_infinity();
		}
#pragma unroll
		for (int j = 0; j < 4; j++) {
			if (base + j * CUT_THREADS >= t.vocab) break;
			int id = base + j * CUT_THREADS + threadIdx.x;
			f(id, v[j], id < t.vocab);
		}
	}
}

// Histogram has a bin a thread.
struct Histogram {
	unsigned* count;
	u64* mass;

	__device__ void clear() const {
		count[threadIdx.x] = 0;
		mass[threadIdx.x] = 0;
		__syncthreads();
	}
	// add is called by whole warps. Equal bins are summed first: else the threads of a
	// flat row would wait for each other.
	__device__ __forceinline__ void add(bool take, int bin, u64 weight) const {
		unsigned takers = __ballot_sync(0xFFFFFFFFu, take);
		if (!takers) return;
		int first = __ffs(int(takers)) - 1;
		int same = __shfl_sync(0xFFFFFFFFu, bin, first);
		if (__all_sync(0xFFFFFFFFu, !take || bin == same)) {
			u64 sum = warp_total(take ? weight : 0);
			if (int(threadIdx.x & 31) == first) {
				atomicAdd(&count[bin], unsigned(__popc(takers)));
				atomicAdd(&mass[bin], sum);
			}
		} else if (take) {
			atomicAdd(&count[bin], 1u);
			atomicAdd(&mass[bin], weight);
		}
	}
};

// Cut makes cuts in one row. whole: tokens that weigh nothing are tokens too.
struct Cut {
	const Tokens& tokens;
	const Weights& weights;
	bool whole;
	Histogram coarse, fine;
	u64* list; // [CUT_THREADS]

	struct Totals {
		u64 count, mass;
	};
	// A cut: the last rank that is kept, and the mass up to it.
	struct Last {
		u64 rank, mass;
	};

	__device__ __forceinline__ static int bin_of(float depth) { return depth < 42.0f ? int(depth * 24.0f) : CUT_THREADS - 1; }

	// count fills coarse and sums it up.
	__device__ Totals count() const {
		coarse.clear();
		each_token(tokens, [&](int, float v, bool there) {
			float depth = weights.depth(v);
			u64 w = weights.of(depth);
			coarse.add(there && (whole || w), bin_of(depth), w);
		});
		__syncthreads();
		Totals t;
		block_scan(coarse.count[threadIdx.x], &t.count);
		block_scan(coarse.mass[threadIdx.x], &t.mass);
		return t;
	}

	// A bin, the tokens in it, and what comes before it.
	struct Place {
		int bin;
		unsigned members;
		u64 count, mass;
	};

	// place is where the running sum reaches want, 1 up to the total.
	__device__ static Place place(const Histogram& h, bool by_count, u64 want) {
		SHARED(Place, found, 1);
		unsigned members = h.count[threadIdx.x];
		u64 mass = h.mass[threadIdx.x], all;
		u64 count_before = block_scan(members, &all), mass_before = block_scan(mass, &all);
		u64 before = by_count ? count_before : mass_before, own = by_count ? members : mass;
		if (before < want && want <= before + own) {
			found[0].bin = threadIdx.x;
			found[0].members = members;
			found[0].count = count_before;
			found[0].mass = mass_before;
		}
		__syncthreads();
		return found[0]; // before it is written again there are barriers
	}

	// at cuts behind the want-th token, or behind the one by which the mass reaches
	// want: 1 up to the total. count was called.
	__device__ Last at(bool by_count, u64 want) const {
		Place p = place(coarse, by_count, want);
		int bin = p.bin, bits = RANK_BITS; // members' ranks are from..from+2^bits-1
		u64 from = 0;
		auto member = [&](int id, float v, bool there, u64* rank, u64* w) {
			float depth = weights.depth(v);
			*w = weights.of(depth);
			*rank = rank_of(v, id);
			return there && (whole || *w) && bin_of(depth) == bin && *rank >= from && (*rank - from) >> bits == 0;
		};
		while (p.members > CUT_THREADS) {
			int shift = bits - CUT_BITS;
			fine.clear();
			each_token(tokens, [&](int id, float v, bool there) {
				u64 rank, w;
				bool take = member(id, v, there, &rank, &w);
				fine.add(take, take ? int((rank - from) >> shift) : 0, w);
			});
			__syncthreads();
			Place q = place(fine, by_count, want - (by_count ? p.count : p.mass));
			from += u64(q.bin) << shift;
			bits = shift;
			p.members = q.members;
			p.count += q.count;
			p.mass += q.mass;
		}
		int n = gather([&](int id, float v, bool there, u64* rank) {
			u64 w;
			return member(id, v, there, rank, &w);
		});
		sort(n);
		return last(p, n, by_count, want);
	}

	// gather lists the ranks of the tokens that keep wants, at most CUT_THREADS.
	template <class F> __device__ int gather(F keep) const {
		SHARED(int, length, 1);
		if (threadIdx.x == 0) length[0] = 0;
		__syncthreads();
		each_token(tokens, [&](int id, float v, bool there) {
			u64 rank;
			if (keep(id, v, there, &rank)) list[atomicAdd(&length[0], 1)] = rank;
		});
		__syncthreads();
		int n = length[0];
		__syncthreads();
		return n;
	}

	// sort sorts the list's first n ranks (bitonic).
	__device__ void sort(int n) const {
		int size = 1, i = threadIdx.x;
		while (size < n) size *= 2;
		if (i >= n && i < size) list[i] = ~0ull;
		__syncthreads();
		for (int run = 2; run <= size; run *= 2) {
			for (int apart = run / 2; apart; apart /= 2) {
				int j = i ^ apart;
				if (i < size && j > i && (list[i] > list[j]) == !(i & run)) {
					u64 swap = list[i];
					list[i] = list[j];
					list[j] = swap;
				}
				__syncthreads();
			}
		}
	}

	// last is the cut among the sorted members of p.
	__device__ Last last(const Place& p, int n, bool by_count, u64 want) const {
		SHARED(Last, found, 1);
		int i = threadIdx.x;
		u64 rank = i < n ? list[i] : 0;
		u64 w = i < n ? weights.of(weights.depth(rank_value(rank))) : 0, all;
		u64 mass = p.mass + block_scan(w, &all);
		u64 before = by_count ? p.count + i : mass, own = by_count ? 1 : w;
		if (i < n && before < want && want <= before + own) {
			found[0].rank = rank;
			found[0].mass = mass + w;
		}
		__syncthreads();
		return found[0]; // as in place
	}
};

} // namespace sampling
