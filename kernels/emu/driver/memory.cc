// Device and pinned memory. Device memory ends (up to 256 bytes of rounding) at a
// page that faults; what lies around it in its own pages is guard bytes, checked
// when it is freed and at every wait. It is 0xFF until written: NaN.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "state.h"

namespace fake {

static constexpr size_t PAGE = 4 << 10, ALIGN = 256, NEAR = 256;

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// poison maps n bytes (whole pages) that read as 0xFF. All of them are one file's
// pages until they are written: a pool of gigabytes costs what is used of it.
static bool poison(char* at, size_t n) {
	static constexpr size_t FILE_SIZE = 4 << 20;
	static const int file = [] {
		int f = memfd_create("poison", MFD_CLOEXEC);
		std::vector<char> bytes(FILE_SIZE, char(0xFF));
		if (f >= 0 && write(f, bytes.data(), FILE_SIZE) != ssize_t(FILE_SIZE)) close(f), f = -1;
		return f;
	}();
	for (size_t done = 0; done < n; done += FILE_SIZE) {
		size_t part = std::min(FILE_SIZE, n - done);
		if (mmap(at + done, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0) == MAP_FAILED) return false;
	}
	return true;
}

Code allocate(Device& d, size_t bytes, Address* at) {
	if (bytes == 0) return INVALID_VALUE;
	size_t room = round_up(bytes, ALIGN);
	if (room > d.memory - d.used) return OUT_OF_MEMORY;
	size_t mapped = round_up(room + NEAR, PAGE) + 2 * PAGE;
	void* p = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) return OUT_OF_MEMORY;
	auto* map = static_cast<char*>(p);
	if (!poison(map + PAGE, mapped - 2 * PAGE)) return munmap(p, mapped), OUT_OF_MEMORY;
	char* start = map + mapped - PAGE - room;
	*at = reinterpret_cast<Address>(start);
	state().allocations[*at] = {&d, start, bytes, map, mapped};
	d.used += room;
	d.peak = std::max(d.peak, d.used);
	d.counters.allocations++;
	return SUCCESS;
}

// whole says whether n guard bytes, at most a page, are as they were.
static bool whole(const char* p, size_t n) {
	static const std::string sound(PAGE, char(0xFF));
	return memcmp(p, sound.data(), n) == 0;
}

static std::string broken(const Allocation& a, size_t before) {
	const char* side = nullptr;
	if (!whole(a.at - before, before)) side = "before";
	if (!whole(a.at + a.bytes, round_up(a.bytes, ALIGN) - a.bytes)) side = "after";
	if (!side) return "";
	char text[160];
	snprintf(text, sizeof text, "the guard %s the allocation of %zu bytes at %p is overwritten", side, a.bytes, static_cast<void*>(a.at));
	return text;
}

std::string broken_guard(const Device& d) {
	for (auto& [_, a] : state().allocations) {
		if (a.device != &d) continue;
		std::string text = broken(a, NEAR);
		if (!text.empty()) return text;
	}
	return "";
}

void release(std::map<Address, Allocation>::iterator i) {
	const Allocation& a = i->second;
	a.device->used -= round_up(a.bytes, ALIGN);
	munmap(a.map, a.mapped);
	state().allocations.erase(i);
}

void forget(Device& d) {
	auto& all = state().allocations;
	for (auto i = all.begin(); i != all.end();) {
		auto next = std::next(i);
		if (i->second.device == &d) release(i);
		i = next;
	}
}

const Allocation* owner(Address a) {
	auto& all = state().allocations;
	auto i = all.upper_bound(a);
	if (i == all.begin()) return nullptr;
	--i;
	return a - i->first < i->second.bytes ? &i->second : nullptr;
}

const Allocation* find_allocation(Address a, size_t bytes) {
	const Allocation* found = owner(a);
	return found && bytes <= found->bytes - (a - reinterpret_cast<Address>(found->at)) ? found : nullptr;
}

bool is_pinned(const void* p, size_t bytes) {
	auto a = reinterpret_cast<Address>(p);
	auto i = state().pinned.upper_bound(a);
	if (i == state().pinned.begin()) return false;
	--i;
	return a + bytes <= i->first + i->second;
}

} // namespace fake

using namespace fake;

API int cuMemAlloc_v2(Address* at, size_t bytes) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	if (Code code = forbid()) return code;
	if (Code code = injected("cuMemAlloc")) return code;
	return allocate(*d, bytes, at);
}

API int cuMemFree_v2(Address at) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	if (Code code = forbid()) return code;
	if (!at) return SUCCESS;
	auto i = state().allocations.find(at);
	if (i == state().allocations.end()) return INVALID_VALUE;
	Device& of = *i->second.device;
	if (Code code = drain(lock, of)) return code;
	i = state().allocations.find(at); // the mutex was given up
	if (i == state().allocations.end()) return INVALID_VALUE;
	const Allocation& a = i->second;
	std::string text = broken(a, size_t(a.at - a.map) - PAGE);
	release(i);
	of.counters.frees++;
	if (text.empty()) return SUCCESS;
	of.lost = ILLEGAL_ADDRESS;
	of.why = text;
	return of.lost;
}

API int cuMemGetInfo_v2(size_t* free, size_t* total) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	*total = d->memory;
	*free = d->memory - d->used;
	return SUCCESS;
}

API int cuMemGetAddressRange_v2(Address* base, size_t* bytes, Address at) {
	Lock lock(state().mutex);
	const Allocation* a = owner(at);
	if (!a) return NOT_FOUND;
	if (base) *base = reinterpret_cast<Address>(a->at);
	if (bytes) *bytes = a->bytes;
	return SUCCESS;
}

API int cuMemHostAlloc(void** at, size_t bytes, unsigned) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	if (Code code = forbid()) return code;
	if (!bytes || posix_memalign(at, PAGE, bytes)) return bytes ? OUT_OF_MEMORY : INVALID_VALUE;
	memset(*at, 0xFF, bytes);
	state().pinned[reinterpret_cast<Address>(*at)] = bytes;
	return SUCCESS;
}
API int cuMemAllocHost_v2(void** at, size_t bytes) { return cuMemHostAlloc(at, bytes, 0); }

// Freeing waits: work that uses the memory may be enqueued on any device.
API int cuMemFreeHost(void* at) {
	Lock lock(state().mutex);
	if (Code code = forbid()) return code;
	if (!state().pinned.count(reinterpret_cast<Address>(at))) return INVALID_VALUE;
	for (auto& d : state().devices)
		if (d->retained && !d->lost) drain(lock, *d);
	if (!state().pinned.erase(reinterpret_cast<Address>(at))) return INVALID_VALUE;
	free(at);
	return SUCCESS;
}

API int cuMemHostRegister_v2(void* at, size_t bytes, unsigned) {
	Lock lock(state().mutex);
	state().pinned[reinterpret_cast<Address>(at)] = bytes;
	return SUCCESS;
}

API int cuMemHostUnregister(void* at) {
	Lock lock(state().mutex);
	return state().pinned.erase(reinterpret_cast<Address>(at)) ? SUCCESS : INVALID_VALUE;
}
