// A device with the test kernels loaded, for the tests of the driver.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "driver.h"
#include "selftest.h"

struct Rig {
	void *context = nullptr, *module = nullptr, *stream = nullptr;
	int device;

	// The two devices and their memory are set before the first rig: see main.
	explicit Rig(int device = 0) : device(device) {
		OK(cuInit(0));
		OK(cuDevicePrimaryCtxRetain(&context, device));
		OK(cuCtxSetCurrent(context));
		emu_reset();
		emu_set_order("forward");
		OK(cuModuleLoadData(&module, image().c_str()));
		OK(cuStreamCreate(&stream, 1));
	}
	~Rig() {
		cuCtxSetCurrent(context);
		OK(cuDevicePrimaryCtxRelease_v2(device));
	}

	static std::string& image() {
		static std::string text;
		return text;
	}

	void* function(const char* name) {
		void* f = nullptr;
		OK(cuModuleGetFunction(&f, module, name));
		return f;
	}

	template <class... A> int launch(const char* name, unsigned grid, unsigned block, unsigned shared, void* on, A... args) {
		void* params[] = {static_cast<void*>(&args)..., nullptr};
		return cuLaunchKernel(function(name), grid, 1, 1, block, 1, 1, shared, on, params, nullptr);
	}

	Ptr floats(std::vector<float> values) {
		Ptr p = 0;
		OK(cuMemAlloc_v2(&p, 4 * values.size()));
		OK(cuMemcpyHtoD_v2(p, values.data(), 4 * values.size()));
		return p;
	}
	float read(Ptr p) {
		float v = 0;
		OK(cuMemcpyDtoH_v2(&v, p, 4));
		return v;
	}
	template <class T> T* pinned(size_t n) {
		void* p = nullptr;
		OK(cuMemHostAlloc(&p, n * sizeof(T), 0));
		return static_cast<T*>(p);
	}
};

inline std::string counters() {
	std::string s(1 << 14, 0);
	s.resize(emu_counters(s.data(), s.size()));
	return s;
}

inline std::string error_text(int code) {
	const char* s = nullptr;
	cuGetErrorString(code, &s);
	return s ? s : "";
}
