// What the attention kernels share: work items, tiles in shared memory, the two matrix
// products on tensor cores and the softmax between them (FlashAttention-2, arXiv
// 2307.08691, over pages).
//
// The product's rows are (token, query head) pairs: row m of an item is head m % group
// of its token m / group. A warp has 16 of them; in the accumulators of mma m16n8k16 a
// lane has rows lane/4 and lane/4+8, columns 2*(lane%4) and the next.
#pragma once
#include "batch.cuh"
#include "common.cuh"

constexpr float LOG2E = 1.44269504f; // scores are kept in log2, for ex2f
constexpr float NO_SCORE = -1e30f;   // the largest score before there is one; finite, so that NO_SCORE-NO_SCORE is 0

// Item is what Planner (attention_plan.go) writes: rows of one sequence times tokens
// from..to-1. slot is where its partial results go, -1: it has all of its tokens; pos is
// the first row's position.
struct Item {
	int row, rows, table, from, to, slot, pos;
};

__device__ __forceinline__ Item read_item(const int* items) {
	const int* i = items + 8 * blockIdx.x;
	return {i[0], i[1], i[2], i[3], i[4], i[5], i[7]};
}

// Partials is the scratch for results of items: sums f32 [slots][heads][dim] (of
// weights times values, not divided), stats f32 [slots][heads][2] (largest score in
// log2, sum of weights).
struct Partials {
	float *sums, *stats;
};

__device__ __forceinline__ Partials partials_at(float* scratch, int slots, int heads, int dim) {
	return {scratch, scratch + size_t(slots) * heads * dim};
}

// A tile is [rows][CHUNKS] of 16 bytes, eight bf16, in shared memory. Chunks of a row
// are swapped so that the eight rows that ldmatrix reads at one chunk lie in different
// banks, whatever power of two divides CHUNKS.
__device__ __forceinline__ constexpr int tile_place(int chunks, int row, int chunk) {
	int apart = chunks % 8 == 0 ? 8 : chunks % 4 == 0 ? 4 : chunks % 2 == 0 ? 2 : 1;
	return 8 * (row * chunks + (chunk ^ ((row / (8 / apart)) & (apart - 1))));
}

// load_query is the A fragment of rows row..row+15, elements 16k..16k+15.
__device__ __forceinline__ void load_query(uint32_t (&a)[4], const bf16* tile, int chunks, int row, int k) {
	int lane = threadIdx.x & 31;
	ldmatrix_x4(a, tile + tile_place(chunks, row + (lane & 15), 2 * k + (lane >> 4)));
}

// load_keys is the B fragments of tokens row..row+7 and row+8..row+15, elements 16k..16k+15.
__device__ __forceinline__ void load_keys(uint32_t (&b)[4], const bf16* tile, int chunks, int row, int k) {
	int lane = threadIdx.x & 31;
	ldmatrix_x4(b, tile + tile_place(chunks, row + (lane & 7) + (lane >> 4) * 8, 2 * k + (lane >> 3 & 1)));
}

// load_values is the B fragments of tokens row..row+15, elements 16n..16n+7 and 16n+8..16n+15.
__device__ __forceinline__ void load_values(uint32_t (&b)[4], const bf16* tile, int chunks, int row, int n) {
	int lane = threadIdx.x & 31;
	ldmatrix_x4_trans(b, tile + tile_place(chunks, row + (lane & 15), 2 * n + (lane >> 4)));
}

// mma2 multiplies by two neighbouring B fragments.
__device__ __forceinline__ void mma2(float (&d0)[4], float (&d1)[4], const uint32_t (&a)[4], const uint32_t (&b)[4]) {
	mma_bf16_16816(d0, a, {b[0], b[1]});
	mma_bf16_16816(d1, a, {b[2], b[3]});
}

// weights_fragment is the A fragment of the weights of tokens 16j..16j+15.
template <int N> __device__ __forceinline__ void weights_fragment(uint32_t (&a)[4], const float (&w)[N][4], int j) {
	a[0] = pack_bf16(w[2 * j][0], w[2 * j][1]), a[1] = pack_bf16(w[2 * j][2], w[2 * j][3]);
	a[2] = pack_bf16(w[2 * j + 1][0], w[2 * j + 1][1]), a[3] = pack_bf16(w[2 * j + 1][2], w[2 * j + 1][3]);
}

// weigh adds weights (16 rows times 8*NT tokens) times values to sums (16 rows of DIM).
// The values' tokens begin at row 0 of the tile.
template <int DIM, int NT> __device__ __forceinline__ void weigh(float (&sums)[DIM / 8][4], const float (&w)[NT][4], const bf16* values) {
#pragma unroll
	for (int j = 0; j < NT / 2; j++) {
		uint32_t a[4], b[4];
		weights_fragment(a, w, j);
#pragma unroll
		for (int n = 0; n < DIM / 16; n++) {
			load_values(b, values, DIM / 8, 16 * j, n);
			mma2(sums[2 * n], sums[2 * n + 1], a, b);
		}
	}
}

// Visible is the tokens that a lane's two rows see: lo..hi-1.
struct Visible {
	int lo[2], hi[2];
};

__device__ __forceinline__ int window_start(int pos, int window) { return window > 0 ? max(0, pos + 1 - window) : 0; }

// see sets the range of row i: that of position pos within the item.
__device__ __forceinline__ void see(Visible& v, int i, int pos, int window, const Item& it) {
	v.lo[i] = max(it.from, window_start(pos, window));
	v.hi[i] = min(it.to, pos + 1);
}

// hide masks the scores of tokens first.. that the rows do not see.
template <int NT> __device__ __forceinline__ void hide(float (&s)[NT][4], const Visible& v, int first) {
	int column = first + 2 * (threadIdx.x & 3);
#pragma unroll
	for (int n = 0; n < NT; n++) {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			int token = column + 8 * n + (i & 1);
			if (token < v.lo[i / 2] || token >= v.hi[i / 2]) s[n][i] = -INFINITY;
		}
	}
}

// Softmax is the running state of a lane's two rows: largest score in log2, and the sum
// of the weights in this lane's columns.
struct Softmax {
	float top[2] = {NO_SCORE, NO_SCORE}, sum[2] = {0.0f, 0.0f};
};

// quad_max and quad_sum go over the four lanes that share rows.
__device__ __forceinline__ float quad_max(float v) {
	v = fmaxf(v, __shfl_xor_sync(0xFFFFFFFFu, v, 1));
	return fmaxf(v, __shfl_xor_sync(0xFFFFFFFFu, v, 2));
}
__device__ __forceinline__ float quad_sum(float v) {
	v += __shfl_xor_sync(0xFFFFFFFFu, v, 1);
	return v + __shfl_xor_sync(0xFFFFFFFFu, v, 2);
}

// soften turns scores into weights relative to the largest so far and rescales the
// sums to it. scale is of the scores, times log2(e).
template <int NT, int DT> __device__ __forceinline__ void soften(float (&s)[NT][4], float (&sums)[DT][4], Softmax& m, float scale) {
#pragma unroll
	for (int i = 0; i < 2; i++) {
		float top = -INFINITY;
#pragma unroll
		for (int n = 0; n < NT; n++) top = fmaxf(top, fmaxf(s[n][2 * i], s[n][2 * i + 1]));
		top = fmaxf(m.top[i], quad_max(top) * scale);
		float keep = ex2f(m.top[i] - top), sum = 0.0f;
		m.top[i] = top;
#pragma unroll
		for (int n = 0; n < NT; n++) {
			s[n][2 * i] = ex2f(s[n][2 * i] * scale - top);
			s[n][2 * i + 1] = ex2f(s[n][2 * i + 1] * scale - top);
			sum += s[n][2 * i] + s[n][2 * i + 1];
		}
		m.sum[i] = m.sum[i] * keep + sum;
#pragma unroll
		for (int n = 0; n < DT; n++) sums[n][2 * i] *= keep, sums[n][2 * i + 1] *= keep;
	}
}

// divisor is what the sums are multiplied by in the end, given the largest score in
// log2 and the sum of weights; the sink, a head's logit, joins the divisor alone
// (gpt-oss). A row that saw nothing is zero.
__device__ __forceinline__ float divisor(float top, float sum, const float* sinks, int head) {
	float keep = 1.0f;
	if (sinks) {
		float sink = sinks[head] * LOG2E, both = fmaxf(top, sink);
		keep = ex2f(top - both);
		sum = sum * keep + ex2f(sink - both);
	}
	return sum > 0.0f ? keep / sum : 0.0f;
}
