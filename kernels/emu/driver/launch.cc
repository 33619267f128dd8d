// Modules, kernels and launches. A module is a library of kernels compiled for the
// emulator: libkernels_emu.so beside this one (EMU_KERNELS overrides), whatever
// image is loaded; an image "emu:PATH" names another.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "state.h"

namespace fake {

static std::string library_path(const char* image) {
	if (image && !strncmp(image, "emu:", 4)) return image + 4;
	if (const char* path = getenv("EMU_KERNELS"))
		if (*path) return path;
	Dl_info self;
	if (!dladdr(reinterpret_cast<void*>(&library_path), &self)) return "libkernels_emu.so";
	std::string path = self.dli_fname;
	size_t slash = path.rfind('/');
	return (slash == std::string::npos ? "" : path.substr(0, slash + 1)) + "libkernels_emu.so";
}

static Code code_of(emu::Fault fault) {
	switch (fault) {
	case emu::Fault::none: return SUCCESS;
	case emu::Fault::address: return ILLEGAL_ADDRESS;
	case emu::Fault::deadlock: return LAUNCH_TIMEOUT;
	case emu::Fault::instruction: return ILLEGAL_INSTRUCTION;
	default: return LAUNCH_FAILED;
	}
}

// Arguments are a launch's, copied when it is enqueued.
struct alignas(16) Cell {
	char bytes[16];
};
struct Arguments {
	std::vector<Cell> cells;
	std::vector<void*> at;
};

static std::shared_ptr<Arguments> copy_arguments(const emu::Kernel& k, void** params) {
	auto a = std::make_shared<Arguments>();
	auto cells = [&](int i) { return (k.sizes[i] + sizeof(Cell) - 1) / sizeof(Cell); };
	size_t total = 0;
	for (int i = 0; i < k.params; i++) total += cells(i);
	a->cells.resize(total);
	Cell* next = a->cells.data();
	for (int i = 0; i < k.params; next += cells(i), i++) {
		memcpy(next->bytes, params[i], k.sizes[i]);
		a->at.push_back(next);
	}
	return a;
}

// foreign says whether an argument is an address in the memory of another device
// that this one was not given access to.
static bool foreign(const Device& d, const emu::Kernel& k, const Arguments& a) {
	for (int i = 0; i < k.params; i++) {
		if (k.sizes[i] != 8) continue;
		Address p;
		memcpy(&p, a.at[size_t(i)], 8);
		const Allocation* found = owner(p);
		if (found && found->device != &d && !d.peers[size_t(found->device->index)]) return true;
	}
	return false;
}

struct Shape {
	emu::Dim grid, block;
	size_t shared, limit;
};

static Code run_kernel(Device& d, const emu::Kernel& k, const Shape& shape, const Arguments& a) {
	emu::Order order;
	{
		Lock lock(state().mutex);
		order = state().order;
		if (foreign(d, k, a)) {
			d.why = std::string(k.name) + ": an argument points into another device's memory";
			return ILLEGAL_ADDRESS;
		}
	}
	emu::Launch launch{&k, shape.grid, shape.block, shape.shared, shape.limit, a.at.data()};
	emu::Outcome outcome = emu::run(launch, order);
	if (outcome.fault == emu::Fault::none) return SUCCESS;
	Lock lock(state().mutex);
	d.why = outcome.text;
	return code_of(outcome.fault);
}

// launchable are the limits of compute capability 9.0.
static Code launchable(const Shape& s, const Function& f) {
	uint64_t threads = uint64_t(s.block.x) * s.block.y * s.block.z;
	bool fits = s.block.x <= 1024 && s.block.y <= 1024 && s.block.z <= 64 && s.grid.y <= 65535 && s.grid.z <= 65535 && s.grid.x <= 0x7FFFFFFF;
	if (!fits || !threads || threads > 1024 || !s.grid.x || !s.grid.y || !s.grid.z || s.shared > f.dynamic) return INVALID_VALUE;
	return SUCCESS;
}

static Code load(void** handle, const char* image) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	if (Code code = forbid()) return code;
	void* library = dlopen(library_path(image).c_str(), RTLD_NOW | RTLD_LOCAL);
	if (!library) return fprintf(stderr, "%s (make emu builds it)\n", dlerror()), INVALID_IMAGE;
	return *handle = state().modules.add(std::make_shared<Module>(Module{library})), SUCCESS;
}

} // namespace fake

using namespace fake;

API int cuModuleLoadData(void** handle, const void* image) { return load(handle, static_cast<const char*>(image)); }
API int cuModuleLoadDataEx(void** handle, const void* image, unsigned, void*, void**) { return load(handle, static_cast<const char*>(image)); }
API int cuModuleLoadFatBinary(void** handle, const void* image) { return load(handle, static_cast<const char*>(image)); }
API int cuModuleLoad(void** handle, const char* path) { return load(handle, (std::string("emu:") + path).c_str()); }

API int cuModuleUnload(void* handle) {
	Lock lock(state().mutex);
	return state().modules.drop(handle) ? SUCCESS : INVALID_HANDLE;
}

API int cuModuleGetFunction(void** handle, void* module, const char* name) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto m = state().modules.find(module);
	if (!m) return INVALID_HANDLE;
	auto* kernel = static_cast<const emu::Kernel*>(dlsym(m->library, (std::string(name) + "__emu").c_str()));
	if (!kernel) return NOT_FOUND;
	return *handle = state().functions.add(std::make_shared<Function>(Function{kernel})), SUCCESS;
}

static constexpr int MAX_DYNAMIC_SHARED = 8, CARVEOUT = 9;

API int cuFuncSetAttribute(void* handle, int attribute, int value) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto f = state().functions.find(handle);
	if (!f) return INVALID_HANDLE;
	if (attribute == CARVEOUT) return SUCCESS;
	if (attribute != MAX_DYNAMIC_SHARED || value < 0 || value > 227 << 10) return INVALID_VALUE;
	f->dynamic = size_t(value);
	f->raised = true;
	return SUCCESS;
}

API int cuFuncGetAttribute(int* value, int attribute, void* handle) {
	Lock lock(state().mutex);
	auto f = state().functions.find(handle);
	if (!f) return INVALID_HANDLE;
	switch (attribute) {
	case 0: *value = 1024; break; // threads a block
	case MAX_DYNAMIC_SHARED: *value = int(f->dynamic); break;
	default: *value = 0;
	}
	return SUCCESS;
}

API int cuFuncSetCacheConfig(void*, int) { return SUCCESS; }

API int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void*, int threads, size_t) {
	if (threads <= 0 || threads > 1024) return INVALID_VALUE;
	return *blocks = 2048 / threads, SUCCESS;
}

API int cuLaunchKernel(void* handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* stream,
                       void** params, void** extra) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto f = state().functions.find(handle);
	auto s = find_stream(d, stream);
	if (!f || !s) return INVALID_HANDLE;
	// Static shared memory is known only when it is met: the executor adds it up.
	Shape shape{{gx, gy, gz}, {bx, by, bz}, shared, f->raised ? size_t(227) << 10 : size_t(48) << 10};
	if (Code code = launchable(shape, *f)) return code;
	if (extra || (f->kernel->params && !params)) return INVALID_VALUE;
	bool direct = !s->capture;
	auto arguments = copy_arguments(*f->kernel, params);
	return submit(lock, s, {Node::launch, f->kernel->name, [=](Device& d) {
		                        if (direct) {
			                        Lock lock(state().mutex);
			                        d.counters.direct_launches++;
		                        }
		                        return run_kernel(d, *f->kernel, shape, *arguments);
	                        }});
}
