// Route: a row's experts and their weights from its router logits.
//
//	logits      [rows][experts] f32
//	correction  [experts] f32 or null
//	ids         [rows][top_k] int32, best first
//	weights     [rows][top_k] f32
//
//	0 softmax over all, then the best        1 softmax over the best alone
//	2 sigmoid; chosen by sigmoid + correction, and only within the top_groups of
//	  `groups` equal groups with the largest sum of their two best (DeepSeek-V3, arXiv
//	  2412.19437)
//
// A warp a row; lane l holds experts l, l+32, …, up to 512. Equal scores: the lower
// expert first. A NaN counts as the least.
#include "batch.cuh"
#include "common.cuh"

constexpr int route_warps = 4, held = 16, route_top = 16;

// The best of all lanes' (score, expert): larger, then lower.
__device__ __forceinline__ void best_of_warp(float& score, int& expert) {
	for (int o = 16; o; o >>= 1) {
		float s = __shfl_xor_sync(0xFFFFFFFFu, score, o);
		int e = __shfl_xor_sync(0xFFFFFFFFu, expert, o);
		if (s > score || (s == score && e < expert)) score = s, expert = e;
	}
}

// The best of those that a lane holds and that are not taken.
__device__ __forceinline__ void best_of_lane(float& score, int& expert, const float (&scores)[held], unsigned taken, int lane, int experts) {
	score = -INFINITY, expert = 1 << 30;
#pragma unroll
	for (int i = 0; i < held; i++) {
		int e = lane + 32 * i;
		if (e < experts && !(taken >> i & 1) && (expert == 1 << 30 || scores[i] > score)) score = scores[i], expert = e;
	}
}

extern "C" __global__ void __launch_bounds__(route_warps * 32)
route(const int* hdr, int* ids, float* weights, const float* logits, int experts, int top_k, int scoring, int normalize, float scale,
      const float* correction, int groups, int top_groups) {
	int lane = threadIdx.x % 32, r = blockIdx.x * route_warps + threadIdx.x / 32;
	if (r >= hdr[HEADER_ROWS]) return;
	logits += size_t(r) * experts;

	// Scores that choose; values are what the weights are made of.
	float value[held], score[held], largest = -INFINITY, sum = 0.0f;
	unsigned taken = 0;
#pragma unroll
	for (int i = 0; i < held; i++) {
		int e = lane + 32 * i;
		value[i] = e < experts ? logits[e] : -INFINITY;
		if (value[i] != value[i]) value[i] = -INFINITY;
		largest = fmaxf(largest, value[i]);
	}
	largest = warp_max(largest);
#pragma unroll
	for (int i = 0; i < held; i++) {
		int e = lane + 32 * i;
		score[i] = value[i];
		if (scoring == 2) value[i] = score[i] = 1.0f / (1.0f + expf(-value[i]));
		if (scoring == 0) value[i] = e < experts ? expf(value[i] - largest) : 0.0f, sum += value[i];
		if (correction && e < experts) score[i] += correction[e];
	}
	if (scoring == 0) sum = warp_sum(sum);

	// 1. The groups: each one's two best, then the best groups. The others' experts count as taken.
	if (groups > 0) {
		int size = experts / groups;
		float mine = -INFINITY; // lane g: group g's sum
		for (int g = 0; g < groups; g++) {
			float pair = 0.0f;
			unsigned found = 0;
			for (int k = 0; k < min(2, size); k++) {
				unsigned outside = found;
#pragma unroll
				for (int i = 0; i < held; i++) outside |= unsigned((lane + 32 * i) / size != g) << i;
				float s;
				int e;
				best_of_lane(s, e, score, outside, lane, experts);
				best_of_warp(s, e);
				pair += s;
				if (e % 32 == lane) found |= 1u << (e / 32);
			}
			if (lane == g) mine = pair;
		}
		unsigned chosen = 0;
		for (int k = 0; k < top_groups; k++) {
			float s = lane < groups && !(chosen >> lane & 1) ? mine : -INFINITY;
			int g = lane < groups && !(chosen >> lane & 1) ? lane : 1 << 30;
			best_of_warp(s, g);
			chosen |= 1u << g;
		}
#pragma unroll
		for (int i = 0; i < held; i++) {
			int e = lane + 32 * i;
			if (e < experts && !(chosen >> (e / size) & 1)) taken |= 1u << i;
		}
	}

	// 2. The best experts; lane k keeps the k-th.
	int expert = 0;
	float weight = 0.0f;
	for (int k = 0; k < top_k; k++) {
		float s;
		int e;
		best_of_lane(s, e, score, taken, lane, experts);
		best_of_warp(s, e);
		float v = 0.0f;
#pragma unroll
		for (int i = 0; i < held; i++)
			if (e == lane + 32 * i) taken |= 1u << i, v = value[i];
		v = __shfl_sync(0xFFFFFFFFu, v, e % 32);
		if (lane == k) expert = e, weight = v;
	}

	// 3. Their weights, summed in the order of choice.
	if (scoring == 0) weight /= sum;
	if (scoring == 1) {
		float first = __shfl_sync(0xFFFFFFFFu, weight, 0);
		weight = lane < top_k ? expf(weight - first) : 0.0f;
	}
	if (scoring == 1 || normalize) {
		float total = 0.0f;
		for (int k = 0; k < top_k; k++) total += __shfl_sync(0xFFFFFFFFu, weight, k);
		weight /= total + (scoring == 2 ? 1e-20f : 0.0f);
	}
	if (lane < top_k) {
		ids[size_t(r) * top_k + lane] = expert;
		weights[size_t(r) * top_k + lane] = weight * scale;
	}
}
EXPORT_KERNEL(route)
