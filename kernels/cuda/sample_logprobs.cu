// sample_logprobs: the log-probability of each sample's token under the unmodified
// logits, and the likeliest tokens', where its slot asks for them.
//
//   samples [n][4], logits [rows][stride], ids [n]: negative: nothing was sampled
//   likely  [n] of Likely, out
//
// A row is read from the caches two to four times. Grid n at most, 1024 threads.
#include "sample_cut.cuh"

using namespace sampling;

enum : int { MAX_LIKELY = 20 };

struct Likely {
	float logprob; // of the sampled token
	int n;
	int ids[MAX_LIKELY];
	float logprobs[MAX_LIKELY];
};
static_assert(sizeof(Likely) == 4 * (2 + 2 * MAX_LIKELY), "kernels/cuda.LikelyBytes");

static __device__ float logprob(float v, float top, double norm) {
	return v == top ? float(-norm) : float(double(v) - double(top) - norm);
}

extern "C" __global__ void __launch_bounds__(CUT_THREADS)
sample_logprobs(const int* __restrict__ count, const int* __restrict__ samples, const SampleSlot* __restrict__ slots,
                const float* __restrict__ logits, int stride, int vocab, const int* __restrict__ ids, Likely* __restrict__ likely) {
	SHARED(unsigned, coarse_count, CUT_THREADS);
	SHARED(u64, coarse_mass, CUT_THREADS);
	SHARED(unsigned, fine_count, CUT_THREADS);
	SHARED(u64, fine_mass, CUT_THREADS);
	SHARED(u64, list, CUT_THREADS);
	int row = blockIdx.x;
	if (row >= *count) return;
	const int* sample = samples + 4 * row;
	int token = ids[row], n = min(slots[sample[0]].likely, vocab);
	if (token < 0 || n < 0) return;

	Tokens t{};
	t.logits = logits + int64_t(sample[1]) * stride;
	t.vocab = vocab;
	float top = minus_infinity();
	each_token(t, [&](int, float v, bool there) {
		if (there) top = fmaxf(top, v);
	});
	top = block_max(top);
	Weights w{top, 1.4426950408889634f, 0};
	Cut cut{t, w, true, {coarse_count, coarse_mass}, {fine_count, fine_mass}, list};
	double norm = log(double(cut.count().mass) * 0x1p-40);

	Likely& out = likely[row];
	if (threadIdx.x == 0) {
		out.logprob = logprob(t.raw(token), top, norm);
		out.n = n;
	}
	if (n == 0) return;
	u64 last = cut.at(true, u64(n)).rank;
	cut.gather([&](int id, float v, bool there, u64* rank) {
		*rank = rank_of(v, id);
		return there && *rank <= last;
	});
	cut.sort(n);
	if (int(threadIdx.x) < n) {
		u64 rank = list[threadIdx.x];
		out.ids[threadIdx.x] = rank_id(rank);
		out.logprobs[threadIdx.x] = logprob(rank_value(rank), top, norm);
	}
}
EXPORT_KERNEL(sample_logprobs)
