// Capture and graphs.
#include "rig.h"

enum { UNSUPPORTED = 900, INVALIDATED = 901, UPDATE_FAILURE = 910 };
enum { THREAD_LOCAL = 1 };

struct Exec {
	void *graph = nullptr, *exec = nullptr;
};

template <class F> static Exec capture(Rig& r, F record) {
	Exec e;
	OK(cuStreamBeginCapture_v2(r.stream, THREAD_LOCAL));
	record();
	OK(cuStreamEndCapture(r.stream, &e.graph));
	OK(cuGraphInstantiateWithFlags(&e.exec, e.graph, 0));
	return e;
}

TEST(a_graph_does_what_was_recorded_each_time) {
	Rig r;
	Ptr x = r.floats({0, 0});
	float *in = r.pinned<float>(1), *out = r.pinned<float>(1);
	Exec e = capture(r, [&] {
		OK(cuMemcpyHtoDAsync_v2(x, in, 4, r.stream));
		OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1));
		OK(cuMemcpyDtoHAsync_v2(out, x, 4, r.stream));
	});
	OK(cuGraphDestroy(e.graph));
	CHECK(r.read(x) == 0); // recording does nothing
	emu_reset();
	for (float v : {5.0f, 9.0f}) {
		*in = v;
		OK(cuGraphLaunch(e.exec, r.stream));
		OK(cuStreamSynchronize(r.stream));
		CHECK(*out == v + 1);
	}
	std::string c = counters();
	for (const char* part : {"\"graph_launches\":2", "\"direct_launches\":0", "\"add_to\":2", "\"copies_in\":2", "\"bytes_out\":8"})
		CHECK(contains(c, part), "%s in %s", part, c.c_str());
}

TEST(an_update_changes_arguments_and_nothing_else) {
	Rig r;
	Ptr x = r.floats({0});
	auto record = [&](float by) { return capture(r, [&] { OK(r.launch("add_to", 1, 32, 0, r.stream, x, by, 1)); }); };
	Exec one = record(1), ten = record(10);
	Exec other = capture(r, [&] { OK(cuMemsetD8Async(x, 0, 4, r.stream)); });
	struct {
		int result;
		void *node, *from;
	} info;
	OK(cuGraphLaunch(one.exec, r.stream));
	OK(cuGraphExecUpdate_v2(one.exec, ten.graph, &info)); // what is enqueued keeps its arguments
	OK(cuGraphLaunch(one.exec, r.stream));
	CHECK(cuGraphExecUpdate_v2(one.exec, other.graph, &info) == UPDATE_FAILURE && info.result != 0);
	OK(cuStreamSynchronize(r.stream));
	CHECK(r.read(x) == 11);
}

TEST(a_recording_takes_no_waits_and_no_allocations) {
	Rig r;
	Ptr x = r.floats({0}), y;
	float pageable = 0;
	void* event;
	OK(cuEventCreate(&event, 2));
	auto spoiled = [&](auto call) {
		void* graph;
		OK(cuStreamBeginCapture_v2(r.stream, THREAD_LOCAL));
		int code = call();
		CHECK(code == UNSUPPORTED || code == 906, "= %d", code);
		CHECK(cuStreamEndCapture(r.stream, &graph) == INVALIDATED && !graph);
	};
	spoiled([&] { return cuStreamSynchronize(r.stream); });
	spoiled([&] { return cuStreamQuery(r.stream); });
	spoiled([&] { return cuCtxSynchronize(); });
	spoiled([&] { return cuMemAlloc_v2(&y, 16); });
	spoiled([&] { return cuMemFree_v2(x); });
	spoiled([&] { return cuMemcpyHtoDAsync_v2(x, &pageable, 4, r.stream); });
	spoiled([&] { return cuMemcpyDtoH_v2(&pageable, x, 4); });
	spoiled([&] { return r.launch("add_to", 1, 32, 0, nullptr, x, 1.0f, 1); });
	spoiled([&] { return cuEventRecord(event, r.stream), cuEventSynchronize(event); });
	OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1)); // the stream is out of it
	OK(cuStreamSynchronize(r.stream));
}

TEST(a_stream_joins_a_recording_by_its_event) {
	Rig r;
	void *other, *fork, *join;
	OK(cuStreamCreate(&other, 1));
	OK(cuEventCreate(&fork, 2));
	OK(cuEventCreate(&join, 2));
	Ptr x = r.floats({0});
	Exec e = capture(r, [&] {
		OK(cuEventRecord(fork, r.stream));
		OK(cuStreamWaitEvent(other, fork, 0));
		OK(r.launch("add_to", 1, 32, 0, other, x, 1.0f, 1));
		OK(cuEventRecord(join, other));
		OK(cuStreamWaitEvent(r.stream, join, 0));
	});
	OK(cuStreamSynchronize(other));
	CHECK(r.read(x) == 0);
	OK(cuGraphLaunch(e.exec, r.stream));
	OK(cuStreamSynchronize(r.stream));
	CHECK(r.read(x) == 1);
}

TEST(a_fault_in_a_graph_is_the_contexts) {
	Rig r;
	Ptr x = r.floats({0});
	Exec e = capture(r, [&] {
		OK(r.launch("add_to", 1, 32, 0, r.stream, x, 1.0f, 1));
		OK(r.launch("write_at", 1, 32, 0, r.stream, x, 1ll << 30));
	});
	OK(cuGraphLaunch(e.exec, r.stream));
	CHECK(cuStreamSynchronize(r.stream) == 700);
	CHECK(cuGraphLaunch(e.exec, r.stream) == 700);
	OK(cuDevicePrimaryCtxReset_v2(0));
}
