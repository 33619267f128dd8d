// Copies and fills. Ranges are checked when the work is enqueued and, since memory
// may have been freed, when it is done. Host memory that is not pinned is read at
// once, and written before the call returns, as the driver does by staging.
#include <cstring>

#include "state.h"

namespace fake {

// usable is the code for touching device memory; copies may name any device's.
static Code usable(Address a, size_t bytes) { return find_allocation(a, bytes) ? SUCCESS : INVALID_VALUE; }

enum class Way { in, out, within };

static void count(Device& d, Way way, size_t bytes) {
	Counters& c = d.counters;
	switch (way) {
	case Way::in: c.copies_in++, c.bytes_in += bytes; break;
	case Way::out: c.copies_out++, c.bytes_out += bytes; break;
	case Way::within: c.copies_within++, c.bytes_within += bytes; break;
	}
}

static Node copy_node(Way way, void* to, const void* from, size_t bytes) {
	return {Node::copy, "copy", [=](Device& d) -> Code {
		        Lock lock(state().mutex);
		        if (way != Way::out)
			        if (usable(reinterpret_cast<Address>(to), bytes)) return ILLEGAL_ADDRESS;
		        if (way != Way::in)
			        if (usable(reinterpret_cast<Address>(from), bytes)) return ILLEGAL_ADDRESS;
		        memmove(to, from, bytes);
		        count(d, way, bytes);
		        return SUCCESS;
	        }};
}

static Code copy(Way way, void* to, const void* from, size_t bytes, void* stream, bool blocks) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, stream);
	if (!s) return INVALID_HANDLE;
	if (bytes == 0) return SUCCESS;
	if (way != Way::out)
		if (Code code = usable(reinterpret_cast<Address>(to), bytes)) return code;
	if (way != Way::in)
		if (Code code = usable(reinterpret_cast<Address>(from), bytes)) return code;
	const void* host = way == Way::in ? from : to;
	bool pinned = way == Way::within || is_pinned(host, bytes);
	if ((blocks || !pinned) && (s->capture || (blocks && recording()))) {
		if (s->capture) s->capture->spoiled = true;
		forbid();
		return STREAM_CAPTURE_UNSUPPORTED;
	}
	if (!pinned && way == Way::in) {
		auto staged = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
		Node node = copy_node(way, to, staged->data(), bytes);
		node.run = [run = node.run, staged](Device& d) { return run(d); };
		if (Code code = submit(lock, s, std::move(node))) return code;
	} else if (Code code = submit(lock, s, copy_node(way, to, from, bytes))) {
		return code;
	}
	if (!blocks && (pinned || way == Way::in)) return SUCCESS;
	return wait_for(lock, *d, {{s, s->issued}});
}

template <class T> static Code fill(Address at, T value, size_t n, void* stream, bool blocks) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, stream);
	if (!s) return INVALID_HANDLE;
	if (n == 0) return SUCCESS;
	if (Code code = usable(at, n * sizeof(T))) return code;
	if (at % sizeof(T)) return INVALID_VALUE;
	Code code = submit(lock, s, {Node::fill, "fill", [=](Device& d) -> Code {
		                             Lock lock(state().mutex);
		                             if (usable(at, n * sizeof(T))) return ILLEGAL_ADDRESS;
		                             auto* p = reinterpret_cast<T*>(at);
		                             std::fill(p, p + n, value);
		                             d.counters.fills++;
		                             return SUCCESS;
	                             }});
	if (code || !blocks) return code;
	return wait_for(lock, *d, {{s, s->issued}});
}

static void* at(Address a) { return reinterpret_cast<void*>(a); }

} // namespace fake

using namespace fake;

API int cuMemcpyHtoD_v2(Address to, const void* from, size_t n) { return copy(Way::in, at(to), from, n, nullptr, true); }
API int cuMemcpyDtoH_v2(void* to, Address from, size_t n) { return copy(Way::out, to, at(from), n, nullptr, true); }
API int cuMemcpyDtoD_v2(Address to, Address from, size_t n) { return copy(Way::within, at(to), at(from), n, nullptr, false); }
API int cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t n, void* s) { return copy(Way::in, at(to), from, n, s, false); }
API int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t n, void* s) { return copy(Way::out, to, at(from), n, s, false); }
API int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t n, void* s) { return copy(Way::within, at(to), at(from), n, s, false); }
API int cuMemcpyPeerAsync(Address to, void*, Address from, void*, size_t n, void* s) { return copy(Way::within, at(to), at(from), n, s, false); }
API int cuMemcpyPeer(Address to, void*, Address from, void*, size_t n) { return copy(Way::within, at(to), at(from), n, nullptr, true); }
API int cuMemsetD8_v2(Address to, uint8_t v, size_t n) { return fill(to, v, n, nullptr, true); }
API int cuMemsetD16_v2(Address to, uint16_t v, size_t n) { return fill(to, v, n, nullptr, true); }
API int cuMemsetD32_v2(Address to, uint32_t v, size_t n) { return fill(to, v, n, nullptr, true); }
API int cuMemsetD8Async(Address to, uint8_t v, size_t n, void* s) { return fill(to, v, n, s, false); }
API int cuMemsetD16Async(Address to, uint16_t v, size_t n, void* s) { return fill(to, v, n, s, false); }
API int cuMemsetD32Async(Address to, uint32_t v, size_t n, void* s) { return fill(to, v, n, s, false); }
