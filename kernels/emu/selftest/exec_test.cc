// The executor: thread orders, barriers, shared memory, asynchronous copies.
#include "../run.h"
#include "selftest.h"

#define KERNEL(name) extern "C" const emu::Kernel name##__emu;
KERNEL(reverse_sound) KERNEL(reverse_without_barrier) KERNEL(stage_sound) KERNEL(stage_without_wait) KERNEL(add_up_sound)
KERNEL(add_up_uninitialised) KERNEL(barrier_then_return) KERNEL(barriers_of_two_lines) KERNEL(barrier_and_shuffle) KERNEL(past_shared)
KERNEL(past_dynamic) KERNEL(much_shared) KERNEL(outside_mask) KERNEL(mixed_collectives) KERNEL(shuffle_from_absent) KERNEL(warps_pass)
KERNEL(block_order) KERNEL(deep) KERNEL(divide) KERNEL(groups) KERNEL(last_block) KERNEL(arguments) KERNEL(dynamic_sum)

using emu::Fault;
using emu::Order;

static const Order orders[] = {{Order::forward, 0}, {Order::reverse, 0}, {Order::seeded, 1}, {Order::seeded, 2}};

template <class... A> static emu::Outcome go(const emu::Kernel& k, emu::Dim grid, emu::Dim block, size_t shared, Order order, A... args) {
	return emu::try_kernel(k, grid, block, shared, order, args...);
}

static int wrong_reverse(const emu::Kernel& k, Order order) {
	std::vector<float> in(512), out(512);
	for (int i = 0; i < 512; i++) in[size_t(i)] = float(i);
	auto o = go(k, {2}, {256}, 0, order, (const float*)in.data(), out.data());
	CHECK(o.fault == Fault::none, "%s", o.text.c_str());
	int wrong = 0;
	for (size_t i = 0; i < 512; i++) wrong += out[i] != in[i / 256 * 256 + 255 - i % 256];
	return wrong;
}

TEST(a_missing_barrier_shows_in_every_order) {
	for (Order o : orders) {
		CHECK(wrong_reverse(reverse_sound__emu, o) == 0);
		CHECK(wrong_reverse(reverse_without_barrier__emu, o) > 0);
	}
}

TEST(a_missing_wait_leaves_poison) {
	std::vector<float> in(256, 1.0f), out(256);
	for (Order o : orders) {
		go(stage_sound__emu, {1}, {64}, 1024, o, (const float*)in.data(), out.data());
		CHECK(out == in);
		go(stage_without_wait__emu, {1}, {64}, 1024, o, (const float*)in.data(), out.data());
		for (float v : out) CHECK(std::isnan(v));
	}
}

TEST(shared_memory_is_poison_in_every_block) {
	std::vector<float> in(64, 1.0f);
	float out = 0;
	go(add_up_sound__emu, {3}, {64}, 0, {}, (const float*)in.data(), &out);
	CHECK(out == 64);
	go(add_up_uninitialised__emu, {3}, {64}, 0, {}, (const float*)in.data(), &out);
	CHECK(std::isnan(out));
}

TEST(groups_of_copies_complete_in_their_order) {
	float in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[4];
	go(groups__emu, {1}, {1}, 64, {}, (const float*)in, (float*)out);
	CHECK(out[0] == 1 && std::isnan(out[1]) && out[2] == 5 && out[3] == 0);
}

TEST(divergent_barriers_end_the_launch) {
	std::vector<float> out(64);
	for (Order o : orders) {
		auto a = go(barrier_then_return__emu, {1}, {64}, 0, o, out.data());
		CHECK(a.fault == Fault::deadlock && contains(a.text, "32 threads returned"), "%s", a.text.c_str());
		CHECK(contains(a.text, "barrier_then_return block (0,0,0)") && contains(a.text, "32 threads at the barrier of"), "%s", a.text.c_str());
		CHECK(go(barriers_of_two_lines__emu, {1}, {64}, 0, o, out.data()).fault == Fault::barrier);
		CHECK(go(barrier_and_shuffle__emu, {1}, {32}, 0, o, out.data()).fault == Fault::deadlock);
	}
	// and the next launch is none the worse for it
	CHECK(wrong_reverse(reverse_sound__emu, {}) == 0);
}

TEST(writes_past_shared_arrays_are_seen) {
	CHECK(go(past_shared__emu, {1}, {64}, 0, {}, 32).fault == Fault::none);
	auto o = go(past_shared__emu, {1}, {64}, 0, {}, 33);
	CHECK(o.fault == Fault::shared && contains(o.text, "past small"), "%s", o.text.c_str());
	CHECK(go(past_dynamic__emu, {1}, {64}, 128, {}, 32).fault == Fault::none);
	CHECK(go(past_dynamic__emu, {1}, {64}, 128, {}, 33).fault == Fault::shared);
}

TEST(shared_memory_has_a_limit) {
	std::vector<float> out(32);
	float* p = out.data();
	void* params[] = {&p};
	emu::Launch l{&much_shared__emu, {1}, {32}, 0, 48 << 10, params};
	CHECK(emu::run(l, {}).fault == Fault::shared);
	l.shared = 49 << 10;
	CHECK(emu::run(l, {}).fault == Fault::shared);
	l.shared = 0;
	l.limit = 227 << 10;
	CHECK(emu::run(l, {}).fault == Fault::none);
}

TEST(collectives_are_held_to_their_contract) {
	int ints[32];
	float floats[32];
	CHECK(go(outside_mask__emu, {1}, {32}, 0, {}, (int*)ints).fault == Fault::misuse);
	CHECK(go(mixed_collectives__emu, {1}, {32}, 0, {}, (int*)ints).fault == Fault::misuse);
	CHECK(go(shuffle_from_absent__emu, {1}, {32}, 0, {}, (float*)floats).fault == Fault::none);
	CHECK(std::isnan(floats[0]));
}

TEST(orders_differ_and_seeds_repeat) {
	auto blocks = [](Order o) {
		int next = 0;
		std::vector<int> out(16);
		go(block_order__emu, {16}, {32}, 0, o, &next, out.data());
		return out;
	};
	auto forward = blocks({}), reverse = blocks({Order::reverse, 0}), one = blocks({Order::seeded, 1});
	CHECK(forward[0] == 0 && forward[15] == 15);
	CHECK(reverse[0] == 15 && reverse[15] == 0);
	CHECK(one != forward && one != reverse && one != blocks({Order::seeded, 2}));
	CHECK(one == blocks({Order::seeded, 1}));
	std::vector<int> out(64);
	int stale = 0;
	for (Order o : orders) {
		go(warps_pass__emu, {1}, {64}, 0, o, out.data());
		for (int v : out) stale += v == -1;
	}
	CHECK(stale > 0);
}

TEST(the_last_block_sees_what_all_have_left) {
	std::vector<int> in(32 * 10), partial(10);
	int want = 0;
	for (size_t i = 0; i < in.size(); i++) want += in[i] = int(i % 13);
	for (Order o : orders) {
		unsigned count = 0;
		int out = 0;
		go(last_block__emu, {10}, {32}, 0, o, (const int*)in.data(), partial.data(), &count, &out);
		CHECK(out == want && count == 0);
	}
}

TEST(faults_of_the_machine_end_the_launch_alone) {
	int out[1];
	CHECK(go(deep__emu, {1}, {32}, 0, {}, (int*)out).fault == Fault::address);
	auto o = go(deep__emu, {1}, {32}, 0, {}, (int*)out);
	CHECK(contains(o.text, "stack overflowed"), "%s", o.text.c_str());
#ifdef __x86_64__ // aarch64 divides by zero without a fault
	CHECK(go(divide__emu, {1}, {1}, 0, {}, (int*)out, 0).fault == Fault::instruction);
#endif
	CHECK(go(divide__emu, {1}, {1}, 0, {}, (int*)nullptr, 1).fault == Fault::address);
	CHECK(go(divide__emu, {1}, {1}, 0, {}, (int*)out, 1).fault == Fault::none && out[0] == 100);
}

struct Four {
	alignas(16) float v[4];
};

TEST(arguments_of_every_size_arrive) {
	double out = 0;
	emu::Outcome o = go(arguments__emu, {2, 2}, {4, 4}, 0, {}, char(1), short(2), 3, 4ll, 5.0f, 6.0, Four{{7, 0, 0, 8}}, &out);
	CHECK(o.fault == Fault::none && out == 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 4 + 2, "%g %s", out, o.text.c_str());
}

TEST(orders_are_parsed) {
	Order o;
	CHECK(emu::parse_order("seed:12", &o) && o.kind == Order::seeded && o.seed == 12);
	CHECK(emu::parse_order("reverse", &o) && o.kind == Order::reverse);
	for (const char* bad : {"", "seed:", "seed:x", "backward"}) CHECK(!emu::parse_order(bad, &o), "%s", bad);
}
