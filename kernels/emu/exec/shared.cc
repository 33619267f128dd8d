// A block's shared memory: the dynamic part first, then the arrays in the order in
// which they are met, GUARD bytes behind each. All of it starts as 0xFF: NaN as a
// float of any width, -1 as an integer.
#include <cstring>
#include <mutex>

#include "worker.h"

namespace emu {

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// place takes bytes from the arena; a guard lies behind them.
static void* place(Worker& w, size_t bytes, size_t align, const char* name) {
	size_t at = round_up(w.used, align), total = bytes;
	for (const Placed& p : w.placed) total += p.bytes;
	if (total > w.launch->limit || at + bytes + GUARD > ARENA)
		fail(Fault::shared, "shared memory of " + std::to_string(total) + " bytes, " + std::to_string(w.launch->limit) + " are allowed");
	w.placed.push_back({name, w.arena + at, bytes});
	w.used = at + bytes + GUARD;
	return w.arena + at;
}

void Worker::shared_begin() {
	memset(arena, 0xFF, used ? used : ARENA); // no more than the last block could have written
	used = 0;
	placed.clear();
	std::fill(by_key.begin(), by_key.end(), nullptr);
	place(*this, launch->shared, 1024, "dynamic shared memory");
}

bool Worker::shared_check() {
	for (const Placed& p : placed)
		for (size_t i = 0; i < GUARD; i++)
			if (p.at[p.bytes + i] != char(0xFF)) {
				outcome = {Fault::shared, where(nullptr) + ": written " + std::to_string(i) + " bytes past " + p.name};
				return false;
			}
	return true;
}

void* shared_array(SharedKey& key, size_t bytes, size_t align, const char* name) {
	static std::mutex mutex;
	static int last = 0;
	Worker& w = *worker;
	int id = __atomic_load_n(&key.id, __ATOMIC_ACQUIRE);
	if (!id) {
		std::lock_guard<std::mutex> lock(mutex);
		if (!key.id) __atomic_store_n(&key.id, ++last, __ATOMIC_RELEASE);
		id = key.id;
	}
	if (size_t(id) >= w.by_key.size()) w.by_key.resize(size_t(id) + 1, nullptr);
	void*& at = w.by_key[size_t(id)];
	if (!at) at = place(w, bytes, align, name);
	return at;
}

void* shared_dynamic() { return worker->arena; }

} // namespace emu
