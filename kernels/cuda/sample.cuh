// What the kernels of sampling share: a slot's state, a row's logits after bias,
// penalties, min_tokens and mask, weights, and the order of tokens. Package
// internal/engine/sample (Go) is the definition of all of it.
//
// Weights are integers: 2^40 times the probability relative to the likeliest
// token's, after temperature. So sums are exact and the same in any order, and
// atomics may make them. exp is computed in float32: a token's share of the
// distribution differs from the definition's (float64) by less than a part in 10^6,
// and tokens of less than 2^-40 of the likeliest's are never drawn. What is drawn
// differs only where the uniform number, or the mass or weight where top-p or min-p
// cuts, is that close to a boundary.
#pragma once
#include "common.cuh"

namespace sampling {

typedef unsigned long long u64;

// One slot's state; kernels/cuda.SampleSlot in Go says what the fields mean.
struct SampleSlot {
	u64 seed, choice;
	uint16_t* table;
	const unsigned* lists;
	double frequency, top_p;
	u64 least;
	float scale, repetition, presence;
	int top_k, biases, ends, min_tokens, generated, likely, counts;
};
static_assert(sizeof(SampleSlot) == 96, "kernels/cuda.SampleSlotBytes");

enum : unsigned { TABLE_TIMES = (1u << 14) - 1, TABLE_LISTED = 1u << 14, TABLE_SEEN = 1u << 15 };

__device__ __forceinline__ float minus_infinity() { return __uint_as_float(0xFF800000u); }

// find_id is where id stands among n ids, ascending, stride words apart; -1: nowhere.
__device__ inline int find_id(const unsigned* ids, int n, int stride, unsigned id) {
	int from = 0, to = n;
	while (from < to) {
		int at = (from + to) / 2;
		if (ids[at * stride] < id)
			from = at + 1;
		else
			to = at;
	}
	return from < n && ids[from * stride] == id ? from : -1;
}

// adjusted is a logit after bias, penalties and min_tokens, in this order, where t,
// its slot's table element, is not 0. The roundings are those of the definition: no
// product is fused with the sum that follows.
static __device__ __noinline__ float adjusted(const SampleSlot* s, bool too_short, int id, float v, unsigned t) {
	if (t & TABLE_LISTED) {
		int i = find_id(s->lists, s->biases, 2, unsigned(id));
		if (i >= 0) v = __fadd_rn(v, __uint_as_float(s->lists[2 * i + 1]));
	}
	if (t & TABLE_SEEN) {
		v = v > 0 ? __fdiv_rn(v, s->repetition) : __fmul_rn(v, s->repetition);
		unsigned times = t & TABLE_TIMES;
		if (times) {
			v = __fsub_rn(v, float(s->frequency * double(times)));
			v = __fsub_rn(v, s->presence);
		}
	}
	if (t & TABLE_LISTED && too_short && find_id(s->lists + 2 * s->biases, s->ends, 1, unsigned(id)) >= 0) v = minus_infinity();
	return v;
}

// Tokens are the values that a sample is drawn by: a row of logits, adjusted. They
// are computed when they are read, so that the logits stay as they are.
struct Tokens {
	const float* logits;
	int vocab;
	bool too_short;        // ends may not be sampled yet
	const SampleSlot* slot;
	const uint16_t* table; // the slot's; null: nothing of it changes a logit
	const unsigned* mask;  // null: everything is allowed

	// raw is the logit, value(id, raw(id)) the adjusted one.
	__device__ __forceinline__ float raw(int id) const { return logits[id]; }
	__device__ __forceinline__ float value(int id, float v) const {
		if (table) {
			unsigned t = table[id];
			if (t) v = adjusted(slot, too_short, id, v, t);
		}
		if (mask && !(mask[id >> 5] >> (id & 31) & 1)) v = minus_infinity();
		return v;
	}
	__device__ __forceinline__ float at(int id) const { return value(id, raw(id)); }
};

// One sample of a step: its four words are slot, logits row, position, masked.
__device__ __forceinline__ Tokens tokens_of(const int* sample, const SampleSlot* slot, const float* logits, int stride, int vocab,
                                            const unsigned* mask) {
	return {logits + int64_t(sample[1]) * stride, vocab, slot->generated < slot->min_tokens, slot, slot->table, sample[3] ? mask : nullptr};
}

// A token's rank: likelier tokens have lower ones, then lower ids, so that no two
// are equal. 0 is a NaN; the value can be had back.
enum : int { ID_BITS = 20, RANK_BITS = 32 + ID_BITS };

__device__ __forceinline__ u64 rank_of(float v, int id) {
	if (v != v) return 0;
	unsigned bits = __float_as_uint(__fadd_rn(v, 0.0f)); // -0 becomes 0
	unsigned ascending = bits >> 31 ? ~bits : bits | 0x80000000u;
	return u64(~ascending) << ID_BITS | unsigned(id);
}
__device__ __forceinline__ int rank_id(u64 rank) { return int(rank & ((1u << ID_BITS) - 1)); }
__device__ __forceinline__ float rank_value(u64 rank) {
	unsigned ascending = ~unsigned(rank >> ID_BITS);
	return __uint_as_float(ascending >> 31 ? ascending & 0x7FFFFFFFu : ~ascending);
}

// Weights turn a value into what it weighs, given the largest value, top.
struct Weights {
	float top, scale;
	u64 least; // less is nothing

	// depth is how many powers of two a value is below the top; top may be infinite.
	__device__ __forceinline__ float depth(float v) const { return v == top ? 0.0f : (top - v) * scale; }
	__device__ __forceinline__ u64 of(float depth) const {
		if (!(depth < 41.0f)) return 0;
		u64 w = u64(ex2f(-depth) * 1099511627776.0f); // 2^40
		return w >= least ? w : 0;
	}
};

} // namespace sampling
