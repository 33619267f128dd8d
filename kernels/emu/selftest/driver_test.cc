// The driver: memory, streams, events, launches, faults.
#include <thread>

#include "rig.h"

enum { INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700, TIMEOUT = 702 };

TEST(work_is_put_off_until_somebody_waits) {
	Rig r;
	Ptr x = r.floats({1, 2});
	float* host = r.pinned<float>(1);
	*host = 5;
	OK(cuMemcpyHtoDAsync_v2(x, host, 4, r.stream));
	*host = 7; // not copied yet: this is what is copied
	OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1));
	CHECK(r.read(x) == 1); // the default stream does not wait for this one
	OK(cuMemcpyDtoHAsync_v2(host, x, 4, r.stream));
	CHECK(*host == 7);
	OK(cuStreamSynchronize(r.stream));
	CHECK(*host == 8);
}

TEST(memory_that_is_not_pinned_is_read_at_once) {
	Rig r;
	Ptr x = r.floats({1});
	float host = 5;
	OK(cuMemcpyHtoDAsync_v2(x, &host, 4, r.stream));
	host = 7;
	float back = 0;
	OK(cuMemcpyDtoHAsync_v2(&back, x, 4, r.stream)); // blocks
	CHECK(back == 5);
}

TEST(the_default_stream_and_blocking_ones_wait_for_each_other) {
	for (const char* order : {"forward", "reverse", "seed:1", "seed:2"}) {
		Rig r;
		CHECK(emu_set_order(order));
		void* blocking;
		OK(cuStreamCreate(&blocking, 0));
		Ptr x = r.floats({0});
		OK(r.launch("add_to", 1, 32, 0, blocking, x, 1.0f, 1));
		OK(cuMemsetD32Async(x, 0x40000000, 1, nullptr)); // 2
		OK(r.launch("add_to", 1, 32, 0, blocking, x, 3.0f, 1));
		CHECK(r.read(x) == 5);
	}
}

TEST(streams_are_held_together_by_events_alone) {
	bool seen = false;
	for (const char* order : {"forward", "reverse", "seed:1", "seed:2"})
		for (bool held : {true, false}) {
			Rig r;
			CHECK(emu_set_order(order));
			void *other, *event;
			OK(cuStreamCreate(&other, 1));
			OK(cuEventCreate(&event, 2));
			Ptr x = r.floats({1});
			OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1));
			OK(cuEventRecord(event, r.stream));
			if (held) OK(cuStreamWaitEvent(other, event, 0));
			float* host = r.pinned<float>(1);
			OK(cuMemcpyDtoHAsync_v2(host, x, 4, other));
			OK(cuStreamSynchronize(other));
			if (held) CHECK(*host == 2, "%s: %g", order, double(*host));
			if (!held && *host == 1) seen = true;
		}
	CHECK(seen); // a missing wait shows in some order
}

TEST(events_tell_the_time_and_can_be_polled) {
	Rig r;
	void *a, *b, *untimed;
	OK(cuEventCreate(&a, 0));
	OK(cuEventCreate(&b, 0));
	OK(cuEventCreate(&untimed, 2));
	Ptr x = r.floats({1});
	OK(cuEventRecord(a, r.stream));
	OK(r.launch("add_to", 64, 256, 0, r.stream, x, 1.0f, 1));
	OK(cuEventRecord(b, r.stream));
	float ms = -1;
	CHECK(cuEventElapsedTime(&ms, a, b) == NOT_READY);
	int code;
	while ((code = cuEventQuery(b)) == NOT_READY) std::this_thread::yield();
	CHECK(code == 0);
	OK(cuEventElapsedTime(&ms, a, b));
	CHECK(ms > 0 && ms < 10000);
	CHECK(cuEventElapsedTime(&ms, a, untimed) == INVALID_HANDLE);
	OK(cuEventDestroy_v2(a));
	CHECK(cuEventSynchronize(a) == INVALID_HANDLE);
}

TEST(device_memory_is_poison_and_limited) {
	Rig r;
	size_t before, total, after;
	OK(cuMemGetInfo_v2(&before, &total));
	Ptr x;
	OK(cuMemAlloc_v2(&x, 1000));
	CHECK(x % 256 == 0 && std::isnan(r.read(x)));
	OK(cuMemGetInfo_v2(&after, &total));
	CHECK(before - after == 1024);
	CHECK(cuMemAlloc_v2(&x, total) == OUT_OF_MEMORY);
	CHECK(cuMemcpyHtoD_v2(x, &x, 1001) == INVALID_VALUE);
	float f;
	CHECK(cuMemcpyDtoH_v2(&f, x + 998, 4) == INVALID_VALUE);
	OK(cuMemFree_v2(x));
	CHECK(cuMemFree_v2(x) == INVALID_VALUE);
	emu_fault("cuMemAlloc", 2, OUT_OF_MEMORY);
	OK(cuMemAlloc_v2(&x, 16));
	CHECK(cuMemAlloc_v2(&x, 16) == OUT_OF_MEMORY);
	OK(cuMemAlloc_v2(&x, 16));
}

// lost checks that a fault is final, names its cause, and ends with a reset.
static void lost(Rig& r, int code, int want, const char* part) {
	CHECK(code == want, "= %d", code);
	std::string text = error_text(want);
	CHECK(contains(text, part), "%s", text.c_str());
	Ptr p;
	CHECK(cuMemAlloc_v2(&p, 16) == want && cuStreamSynchronize(r.stream) == want);
	OK(cuDevicePrimaryCtxReset_v2(r.device));
	OK(cuMemAlloc_v2(&p, 16));
	CHECK(cuStreamSynchronize(r.stream) == INVALID_HANDLE); // gone with the context
	OK(cuModuleLoadData(&r.module, Rig::image().c_str()));
	OK(cuStreamCreate(&r.stream, 1));
}

TEST(large_memory_costs_what_is_used_of_it) {
	Rig r;
	Ptr x;
	size_t n = 13 << 20;
	OK(cuMemAlloc_v2(&x, n));
	CHECK(std::isnan(r.read(x)) && std::isnan(r.read(x + (8 << 20) - 4)) && std::isnan(r.read(x + n - 4)));
	OK(cuMemsetD8Async(x + (4 << 20), 0, 8, r.stream));
	OK(cuStreamSynchronize(r.stream));
	CHECK(r.read(x + (4 << 20) + 4) == 0 && std::isnan(r.read(x + 4)) && std::isnan(r.read(x + (8 << 20) + 4)));
	OK(cuMemFree_v2(x));
}

TEST(a_write_beside_an_allocation_is_a_fault) {
	struct {
		size_t bytes;
		long long at;
		const char* text;
	} cases[] = {
		{1024, 256, "write_at block (0,0,0) thread (0,0,0): an illegal address"}, // right behind it: the page
		{1000, 250, "the guard after the allocation of 1000 bytes"},
		{1024, -1, "the guard before the allocation of 1024 bytes"},
		{1024, 1 << 20, "an illegal address"},
	};
	for (auto& c : cases) {
		Rig r;
		Ptr x;
		OK(cuMemAlloc_v2(&x, c.bytes));
		OK(r.launch("write_at", 1, 32, 0, r.stream, x, c.at));
		lost(r, cuStreamSynchronize(r.stream), ILLEGAL_ADDRESS, c.text);
	}
}

TEST(a_read_behind_an_allocation_is_a_fault_or_poison) {
	Rig r;
	Ptr x, out = r.floats({1});
	OK(cuMemAlloc_v2(&x, 1000));
	OK(cuMemsetD8Async(x, 0, 1000, r.stream));
	OK(r.launch("read_at", 1, 32, 0, r.stream, x, 250ll, out));
	OK(cuStreamSynchronize(r.stream));
	CHECK(std::isnan(r.read(out)));
	OK(r.launch("read_at", 1, 32, 0, r.stream, x, 256ll, out));
	lost(r, cuStreamSynchronize(r.stream), ILLEGAL_ADDRESS, "read_at");
}

TEST(a_use_after_free_is_a_fault) {
	Rig r;
	Ptr x = r.floats({1});
	OK(cuMemFree_v2(x));
	OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1));
	lost(r, cuStreamSynchronize(r.stream), ILLEGAL_ADDRESS, "add_to");
}

TEST(a_deadlock_is_a_fault_that_names_it) {
	Rig r;
	Ptr x = r.floats(std::vector<float>(64));
	OK(r.launch("barrier_then_return", 1, 64, 0, r.stream, x));
	lost(r, cuStreamSynchronize(r.stream), TIMEOUT, "deadlock: 32 threads at the barrier of");
}

TEST(the_nth_launch_fails_where_asked) {
	Rig r;
	Ptr x = r.floats({0});
	emu_fault("add_to", 3, 719);
	for (int i = 0; i < 2; i++) OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1));
	OK(cuStreamSynchronize(r.stream));
	OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1));
	lost(r, cuStreamSynchronize(r.stream), 719, "add_to: injected");
}

TEST(launches_are_held_to_the_limits) {
	Rig r;
	Ptr x = r.floats({0});
	void* f = r.function("dynamic_sum");
	int n = 12 << 10;
	void* params[] = {&x, &n};
	auto launch = [&](unsigned gx, unsigned gy, unsigned bx, unsigned bz, unsigned shared) {
		return cuLaunchKernel(f, gx, gy, 1, bx, 1, bz, shared, r.stream, params, nullptr);
	};
	CHECK(launch(0, 1, 32, 1, 0) == INVALID_VALUE);
	CHECK(launch(1, 65536, 32, 1, 0) == INVALID_VALUE);
	CHECK(launch(1, 1, 1025, 1, 0) == INVALID_VALUE);
	CHECK(launch(1, 1, 32, 33, 0) == INVALID_VALUE);
	CHECK(launch(1, 1, 1, 65, 0) == INVALID_VALUE);
	CHECK(launch(1, 1, 64, 1, (48 << 10) + 4) == INVALID_VALUE);
	CHECK(cuFuncSetAttribute(f, 8, (227 << 10) + 1) == INVALID_VALUE);
	OK(cuFuncSetAttribute(f, 8, 100 << 10));
	CHECK(launch(1, 1, 64, 1, (100 << 10) + 4) == INVALID_VALUE);
	n = 25 << 10;
	OK(launch(1, 1, 64, 1, 100 << 10));
	OK(cuStreamSynchronize(r.stream));
	CHECK(r.read(x) == float(n));
	void* none;
	CHECK(cuModuleGetFunction(&none, r.module, "no_such_kernel") == NOT_FOUND);
}

TEST(arguments_are_copied_at_the_launch) {
	Rig r;
	Ptr x = r.floats({0});
	float by = 1;
	int n = 1;
	void* params[] = {&x, &by, &n};
	OK(cuLaunchKernel(r.function("add_to"), 1, 1, 1, 32, 1, 1, 0, r.stream, params, nullptr));
	by = 100;
	OK(cuStreamSynchronize(r.stream));
	CHECK(r.read(x) == 1);
}

TEST(handles_that_were_destroyed_are_refused) {
	Rig r;
	void* s = r.stream;
	OK(cuStreamDestroy_v2(s));
	CHECK(cuStreamSynchronize(s) == INVALID_HANDLE && cuStreamDestroy_v2(s) == INVALID_HANDLE);
	CHECK(r.launch("add_to", 1, 32, 0, s, Ptr(0), 1.0f, 1) == INVALID_HANDLE);
}

TEST(counters_tell_what_was_done) {
	Rig r;
	Ptr x = r.floats({0, 0});
	emu_reset();
	for (int i = 0; i < 3; i++) OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1));
	CHECK(contains(counters(), "\"launches\":{}")); // not done yet
	OK(cuStreamSynchronize(r.stream));
	r.read(x);
	std::string c = counters();
	for (const char* part : {"\"add_to\":3", "\"direct_launches\":3", "\"copies_out\":1", "\"bytes_out\":4", "\"copies_in\":0", "\"syncs\":1", "\"used\":256"})
		CHECK(contains(c, part), "%s in %s", part, c.c_str());
}

TEST(codes_have_names) {
	const char* s;
	OK(cuGetErrorName(700, &s));
	CHECK(std::string(s) == "CUDA_ERROR_ILLEGAL_ADDRESS");
	CHECK(cuGetErrorName(12345, &s) == INVALID_VALUE && !s);
}

TEST(devices_have_memory_and_work_of_their_own) {
	Rig a(0);
	Ptr x = a.floats({1});
	{
		Rig b(1);
		Ptr y = b.floats({10});
		CHECK(cuStreamSynchronize(a.stream) == INVALID_HANDLE); // another device's
		OK(b.launch("add_to", 1, 32, 0, b.stream, y, 1.0f, 1));
		OK(cuStreamSynchronize(b.stream));
		CHECK(b.read(y) == 11);
		OK(b.launch("add_to", 1, 32, 0, b.stream, x, 1.0f, 1));
		lost(b, cuStreamSynchronize(b.stream), ILLEGAL_ADDRESS, "another device's memory");
		OK(cuCtxEnablePeerAccess(a.context, 0));
		OK(b.launch("add_to", 1, 32, 0, b.stream, x, 1.0f, 1));
		OK(cuStreamSynchronize(b.stream));
	}
	OK(cuCtxSetCurrent(a.context));
	CHECK(a.read(x) == 2);
}
