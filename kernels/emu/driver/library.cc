#include "library.h"

#include "state.h"

#define SHARED_API __attribute__((visibility("default")))

namespace fake {

SHARED_API int enqueue(void* stream, const std::string& name, std::function<int()> work) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, stream);
	if (!s) return INVALID_HANDLE;
	return submit(lock, s, {Node::call, name, [work](Device&) { return Code(work()); }});
}

SHARED_API int device_index() { return current() ? current()->index : -1; }

SHARED_API bool readable(const void* at, size_t bytes) {
	Lock lock(state().mutex);
	return find_allocation(reinterpret_cast<Address>(at), bytes) != nullptr;
}

SHARED_API void hurry(int device, bool on) {
	Lock lock(state().mutex);
	state().devices[size_t(device)]->hurried += on ? 1 : -1;
	state().work.notify_all();
}

} // namespace fake
