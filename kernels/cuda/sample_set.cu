// sample_set: slots become what the messages of an inbox say. sample_set.go draws
// the inbox and a message.
//
//   slots [MaxSeqs], last [MaxSeqs] by slot
//
// Grid: as many messages as there may be; blocks beyond those there are do nothing.
#include "sample.cuh"

using namespace sampling;

struct SlotMessage {
	int slot, list_words, entries, last;
	SampleSlot state;
};

extern "C" __global__ void __launch_bounds__(1024)
sample_set(const unsigned* __restrict__ inbox, SampleSlot* __restrict__ slots, int* __restrict__ last, int vocab) {
	if (blockIdx.x >= inbox[0]) return;
	const SlotMessage& m = *reinterpret_cast<const SlotMessage*>(reinterpret_cast<const char*>(inbox) + inbox[2 + blockIdx.x]);
	const unsigned* lists = reinterpret_cast<const unsigned*>(&m + 1);
	const unsigned* entries = lists + m.list_words;
	int i = threadIdx.x;
	if (i == 0) {
		slots[m.slot] = m.state;
		last[m.slot] = m.last;
	}
	unsigned* to = const_cast<unsigned*>(m.state.lists);
	for (int k = i; k < m.list_words; k += blockDim.x) to[k] = lists[k];
	uint16_t* table = m.state.table;
	if (!table) return;
	unsigned* words = reinterpret_cast<unsigned*>(table); // there is room for an even number
	for (int k = i; k < (vocab + 1) / 2; k += blockDim.x) words[k] = 0;
	__syncthreads();
	for (int k = i; k < m.entries; k += blockDim.x) table[entries[2 * k]] = uint16_t(entries[2 * k + 1]);
}
EXPORT_KERNEL(sample_set)
