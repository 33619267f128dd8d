// cp.async: nothing arrives before its wait.
#include <cstring>

#include "worker.h"

namespace emu {

void copy_async(void* to, const void* from, unsigned bytes) {
	if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % bytes)
		fail(Fault::address, "cp.async of " + std::to_string(bytes) + " bytes at an address that is not aligned to them");
	memset(to, 0xFF, bytes);
	Copies& c = worker->copies[self->index];
	c.pending.push_back({to, from, bytes, c.group});
}

void copy_commit() { worker->copies[self->index].group++; }

void copy_wait(unsigned groups) {
	Copies& c = worker->copies[self->index];
	size_t kept = 0;
	for (const AsyncCopy& a : c.pending) {
		if (a.group + groups >= c.group) { // one of the newest groups, or not committed
			c.pending[kept++] = a;
		} else if (a.from) {
			memcpy(a.to, a.from, a.bytes);
		} else {
			memset(a.to, 0, a.bytes);
		}
	}
	c.pending.resize(kept);
}

} // namespace emu
