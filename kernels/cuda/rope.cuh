// Rotation and norm of a row of up to 256 bf16 elements by one warp, in place: what
// store_kv.cu and store_latent.cu share.
//
// A rotary table is f32 [position][rotary/2]. Pair i is (i, i+rotary/2), or
// (2i, 2i+1), which then lies at i and i+rotary/2. Elements behind the rotary ones stay.
// Two neighbouring pairs are a lane's work, so rotary is a multiple of 4.
#pragma once
#include "batch.cuh"
#include "common.cuh"

// HeadNorm is the RMSNorm of a head, w null: none.
struct HeadNorm {
	const float* w;
	float eps;
};

// Turn is a position's row of the rotary table.
struct Turn {
	const float *cos, *sin;
	int rotary;
	int interleaved;
};

// rotate_row writes row x of n elements (a multiple of 8) normalised and rotated to x
// and, where it is not null, to copy. All lanes of the warp call.
__device__ __forceinline__ void rotate_row(bf16* x, bf16* copy, int n, HeadNorm norm, Turn turn) {
	constexpr int SLOTS = 4; // of four elements a lane, 256 / 32 lanes / 2 at the least
	int lane = threadIdx.x & 31, half = turn.rotary / 2;
	int pairs = half / 2, slots = pairs + (n - turn.rotary) / 2; // a slot: two pairs, or two elements that stay
	float a[SLOTS][2], b[SLOTS][2], sum = 0.0f;
	for (int s = 0; s < SLOTS; s++) {
		int slot = lane + 32 * s;
		a[s][0] = a[s][1] = b[s][0] = b[s][1] = 0.0f;
		if (slot < pairs && turn.interleaved) {
			uint2 v = *reinterpret_cast<const uint2*>(x + 4 * slot);
			a[s][0] = bf16_low(v.x), b[s][0] = bf16_high(v.x), a[s][1] = bf16_low(v.y), b[s][1] = bf16_high(v.y);
		} else if (slot < pairs) {
			uint32_t v = *reinterpret_cast<const uint32_t*>(x + 2 * slot), w = *reinterpret_cast<const uint32_t*>(x + half + 2 * slot);
			a[s][0] = bf16_low(v), a[s][1] = bf16_high(v), b[s][0] = bf16_low(w), b[s][1] = bf16_high(w);
		} else if (slot < slots) {
			uint32_t v = *reinterpret_cast<const uint32_t*>(x + turn.rotary + 2 * (slot - pairs));
			a[s][0] = bf16_low(v), a[s][1] = bf16_high(v);
		}
		for (int j = 0; j < 2; j++) sum += a[s][j] * a[s][j] + b[s][j] * b[s][j];
	}
	float scale = norm.w ? rsqrtf(warp_sum(sum) / n + norm.eps) : 1.0f;
	__syncwarp(); // all have read before any writes
	for (int s = 0; s < SLOTS; s++) {
		int slot = lane + 32 * s;
		if (slot >= slots) break;
		bool turned = slot < pairs;
		int at = turned ? 2 * slot : turn.rotary + 2 * (slot - pairs);
		for (int j = 0; j < 2; j++) {
			if (norm.w) {
				int first = turned && turn.interleaved ? 2 * (at + j) : at + j;
				a[s][j] *= scale * norm.w[first];
				if (turned) b[s][j] *= scale * norm.w[turn.interleaved ? first + 1 : first + half];
			}
			if (turned) {
				float c = turn.cos[at + j], d = turn.sin[at + j], u = a[s][j], v = b[s][j];
				a[s][j] = u * c - v * d, b[s][j] = v * c + u * d;
			}
		}
		uint32_t u = pack_bf16(a[s][0], a[s][1]), v = pack_bf16(b[s][0], b[s][1]);
		*reinterpret_cast<uint32_t*>(x + at) = u;
		if (copy) *reinterpret_cast<uint32_t*>(copy + at) = u;
		if (turned) {
			*reinterpret_cast<uint32_t*>(x + half + at) = v;
			if (copy) *reinterpret_cast<uint32_t*>(copy + half + at) = v;
		}
	}
}
