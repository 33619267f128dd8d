// Devices and contexts. A device has its primary context and no other; it models
// an H100 as far as limits go.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "state.h"

namespace fake {

State& state() {
	static State* s = new State;
	return *s;
}

Device*& current() {
	static thread_local Device* d;
	return d;
}

Code enter(Device** device) {
	if (state().devices.empty()) return NOT_INITIALIZED;
	Device* d = *device = current();
	if (!d) return INVALID_CONTEXT;
	if (!d->retained) return CONTEXT_IS_DESTROYED;
	return d->lost;
}

// setting is a number from the environment.
static uint64_t setting(const char* name, uint64_t otherwise) {
	const char* text = getenv(name);
	return text && *text ? strtoull(text, nullptr, 10) : otherwise;
}

static Device* device(int index) {
	auto& all = state().devices;
	return index >= 0 && size_t(index) < all.size() ? all[size_t(index)].get() : nullptr;
}

// reset is a context's end: its work, its memory and what its handles stand for.
static void reset(Lock& lock, Device& d) {
	State& s = state();
	for (auto& stream : d.streams) {
		stream->queue.clear();
		stream->finished = stream->issued;
	}
	s.done.notify_all();
	s.done.wait(lock, [&] { return !d.busy; });
	forget(d);
	for (auto i = s.streams.live.begin(); i != s.streams.live.end();) i = i->second->device == &d ? s.streams.live.erase(i) : std::next(i);
	for (auto i = s.events.live.begin(); i != s.events.live.end();) i = i->second->device == &d ? s.events.live.erase(i) : std::next(i);
	d.streams = {d.null};
	d.wanted.clear();
	d.lost = SUCCESS;
	d.why.clear();
	std::fill(d.peers.begin(), d.peers.end(), false);
}

} // namespace fake

using namespace fake;

// EMU_DEVICES is how many devices there are, EMU_MEM the bytes that each has.
API int cuInit(unsigned flags) {
	if (flags) return INVALID_VALUE;
	State& s = state();
	Lock lock(s.mutex);
	if (!s.devices.empty()) return SUCCESS;
	uint64_t count = setting("EMU_DEVICES", 1), memory = setting("EMU_MEM", 4ull << 30);
	if (const char* order = getenv("EMU_ORDER"))
		if (*order && !emu::parse_order(order, &s.order)) return fprintf(stderr, "EMU_ORDER=%s is not forward, reverse or seed:N\n", order), INVALID_VALUE;
	if (count == 0) return NO_DEVICE;
	for (uint64_t i = 0; i < count; i++) {
		auto d = std::make_unique<Device>();
		d->index = int(i);
		d->memory = memory;
		d->null = std::make_shared<Stream>();
		d->null->device = d.get();
		d->null->blocking = true;
		d->streams = {d->null};
		d->peers.assign(count, false);
		s.devices.push_back(std::move(d));
	}
	return SUCCESS;
}

API int cuDriverGetVersion(int* version) { return *version = 13000, SUCCESS; }

API int cuDeviceGetCount(int* count) {
	if (state().devices.empty()) return NOT_INITIALIZED;
	return *count = int(state().devices.size()), SUCCESS;
}

API int cuDeviceGet(int* handle, int index) {
	if (!device(index)) return INVALID_DEVICE;
	return *handle = index, SUCCESS;
}

API int cuDeviceGetName(char* name, int size, int handle) {
	if (!device(handle)) return INVALID_DEVICE;
	return snprintf(name, size_t(size), "Emulated GPU"), SUCCESS;
}

API int cuDeviceGetUuid_v2(unsigned char* uuid, int handle) {
	if (!device(handle)) return INVALID_DEVICE;
	memset(uuid, 0xE0, 16);
	uuid[15] = uint8_t(handle);
	return SUCCESS;
}
API int cuDeviceGetUuid(unsigned char* uuid, int handle) { return cuDeviceGetUuid_v2(uuid, handle); }

API int cuDeviceTotalMem_v2(size_t* bytes, int handle) {
	Device* d = device(handle);
	if (!d) return INVALID_DEVICE;
	return *bytes = d->memory, SUCCESS;
}

API int cuDeviceGetAttribute(int* value, int attribute, int handle) {
	if (!device(handle)) return INVALID_DEVICE;
	switch (attribute) {
	case 1: *value = 1024; break;      // threads a block
	case 2: case 3: *value = 1024; break;
	case 4: *value = 64; break;        // block z
	case 5: *value = 0x7FFFFFFF; break; // grid x
	case 6: case 7: *value = 65535; break;
	case 8: *value = 48 << 10; break;  // shared memory a block
	case 10: *value = 32; break;       // warp
	case 12: *value = 65536; break;    // registers a block
	case 16: *value = 4; break;        // multiprocessors: few, so that grids are small
	case 38: *value = 50 << 20; break; // L2
	case 39: *value = 2048; break;     // threads a multiprocessor
	case 41: *value = 1; break;        // unified addressing
	case 75: *value = 9; break;        // compute capability
	case 76: *value = 0; break;
	case 81: *value = 228 << 10; break; // shared memory a multiprocessor
	case 97: *value = 227 << 10; break; // a block's with cuFuncSetAttribute
	default: *value = 0;
	}
	return SUCCESS;
}

API int cuDevicePrimaryCtxRetain(void** context, int handle) {
	Lock lock(state().mutex);
	Device* d = device(handle);
	if (!d) return INVALID_DEVICE;
	d->retained++;
	start(*d);
	return *context = d, SUCCESS;
}

API int cuDevicePrimaryCtxRelease_v2(int handle) {
	Lock lock(state().mutex);
	Device* d = device(handle);
	if (!d) return INVALID_DEVICE;
	if (!d->retained) return INVALID_CONTEXT;
	if (--d->retained == 0) {
		if (!d->lost) drain(lock, *d);
		reset(lock, *d);
	}
	return SUCCESS;
}

API int cuDevicePrimaryCtxReset_v2(int handle) {
	Lock lock(state().mutex);
	Device* d = device(handle);
	if (!d) return INVALID_DEVICE;
	reset(lock, *d);
	return SUCCESS;
}

API int cuDevicePrimaryCtxGetState(int handle, unsigned* flags, int* active) {
	Lock lock(state().mutex);
	Device* d = device(handle);
	if (!d) return INVALID_DEVICE;
	return *flags = 0, *active = d->retained > 0, SUCCESS;
}

API int cuDevicePrimaryCtxSetFlags_v2(int handle, unsigned) { return device(handle) ? SUCCESS : INVALID_DEVICE; }

API int cuCtxSetCurrent(void* context) {
	Lock lock(state().mutex);
	Device* found = nullptr;
	for (auto& d : state().devices)
		if (d.get() == context) found = d.get();
	if (context && (!found || !found->retained)) return INVALID_CONTEXT;
	current() = found;
	return SUCCESS;
}

API int cuCtxGetCurrent(void** context) { return *context = current(), SUCCESS; }

API int cuCtxGetDevice(int* handle) {
	if (!current()) return INVALID_CONTEXT;
	return *handle = current()->index, SUCCESS;
}

API int cuCtxSynchronize() {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	if (Code code = forbid()) return code;
	d->counters.syncs++;
	return drain(lock, *d);
}

API int cuCtxGetStreamPriorityRange(int* least, int* greatest) { return *least = 0, *greatest = -5, SUCCESS; }

API int cuDeviceCanAccessPeer(int* can, int handle, int peer) {
	if (!device(handle) || !device(peer)) return INVALID_DEVICE;
	return *can = handle != peer, SUCCESS;
}

API int cuCtxEnablePeerAccess(void* peer, unsigned) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	size_t i = size_t(static_cast<Device*>(peer)->index);
	if (d->peers[i]) return PEER_ACCESS_ALREADY_ENABLED;
	return d->peers[i] = true, SUCCESS;
}

API int cuCtxDisablePeerAccess(void* peer) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	size_t i = size_t(static_cast<Device*>(peer)->index);
	if (!d->peers[i]) return PEER_ACCESS_NOT_ENABLED;
	return d->peers[i] = false, SUCCESS;
}
