// The pairs (row, k) of a step sorted by expert, and the pieces of work that they make
// for linear.cuh: a counting sort in one block, whatever the number of rows.
//
//	ids    [rows][top_k]   the experts
//	slots  [rows][top_k]   where a pair went: its slot
//	list   [pairs]         the row of each slot
//	items  [1 + most][4]   item 0: how many pieces; the others: expert, first slot,
//	                       slots, 0. A piece has at most `tokens` slots of one expert.
//
// Slots of an expert are in no particular order: what is computed for a slot does not
// depend on its neighbours.
#include "batch.cuh"
#include "common.cuh"

constexpr int sort_threads = 1024, most_experts = 512;

extern "C" __global__ void __launch_bounds__(sort_threads)
sort_pairs(const int* hdr, const int* ids, int experts, int top_k, int tokens, int* slots, int* list, int* items) {
	SHARED(int, next, most_experts); // counts, then the next free slot
	SHARED(int, warp_slots, sort_threads / 32);
	SHARED(int, warp_pieces, sort_threads / 32);
	int t = threadIdx.x, pairs = hdr[HEADER_ROWS] * top_k;
	if (t < most_experts) next[t] = 0;
	__syncthreads();
	for (int i = t; i < pairs; i += sort_threads) atomicAdd(&next[ids[i]], 1);
	__syncthreads();

	// Inclusive sums of slots and pieces: within a warp, then those of the warps before.
	int count = t < most_experts ? next[t] : 0, pieces = (count + tokens - 1) / tokens;
	int slot_sum = count, piece_sum = pieces;
	for (int o = 1; o < 32; o <<= 1) {
		int a = __shfl_up_sync(0xFFFFFFFFu, slot_sum, o), b = __shfl_up_sync(0xFFFFFFFFu, piece_sum, o);
		if (t % 32 >= o) slot_sum += a, piece_sum += b;
	}
	if (t % 32 == 31) warp_slots[t / 32] = slot_sum, warp_pieces[t / 32] = piece_sum;
	__syncthreads();
	int all = 0;
	for (int w = 0; w < most_experts / 32; w++) {
		if (w < t / 32) slot_sum += warp_slots[w], piece_sum += warp_pieces[w];
		all += warp_pieces[w];
	}
	if (t < experts) {
		int first = slot_sum - count;
		next[t] = first;
		for (int p = 0; p < pieces; p++) {
			int* item = items + 4 * (1 + piece_sum - pieces + p);
			item[0] = t, item[1] = first + p * tokens, item[2] = min(tokens, count - p * tokens), item[3] = 0;
		}
	}
	if (t == 0) items[0] = all;
	__syncthreads();
	for (int i = t; i < pairs; i += sort_threads) {
		int slot = atomicAdd(&next[ids[i]], 1);
		slots[i] = slot;
		list[slot] = i / top_k;
	}
}
EXPORT_KERNEL(sort_pairs)
