#include "executor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "worker.h"

namespace emu {

EMU_TLS Thread* self;
EMU_TLS Index block_id, block_dim, grid_dim;
EMU_TLS Worker* worker;

bool parse_order(const char* text, Order* order) {
	if (!strcmp(text, "forward")) {
		*order = {Order::forward, 0};
	} else if (!strcmp(text, "reverse")) {
		*order = {Order::reverse, 0};
	} else if (!strncmp(text, "seed:", 5) && text[5]) {
		char* end;
		uint64_t seed = strtoull(text + 5, &end, 10);
		if (*end) return false;
		*order = {Order::seeded, seed};
	} else {
		return false;
	}
	return true;
}

Worker::Worker() {
	size_t page = 4 << 10;
	auto* all = static_cast<char*>(mmap(nullptr, ARENA + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	if (all == MAP_FAILED) abort();
	arena = all + page;
	mprotect(arena, ARENA, PROT_READ | PROT_WRITE);
	install_signals();
}

Worker::~Worker() {
	munmap(arena - (4 << 10), ARENA + (8 << 10));
	if (stacks) munmap(stacks, stack_count * STACK);
}

void Worker::need_stacks(unsigned count) {
	if (stack_count >= count) return;
	if (stacks) munmap(stacks, stack_count * STACK);
	void* p = mmap(nullptr, count * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) abort();
	stacks = static_cast<char*>(p);
	stack_count = count;
	for (unsigned i = 0; i < count; i++) mprotect(stacks + i * STACK, 4 << 10, PROT_NONE);
}

uint64_t Worker::draw() { // xorshift64*
	random ^= random >> 12;
	random ^= random << 25;
	random ^= random >> 27;
	return random * 0x2545F4914F6CDD1Dull;
}

// pick is the bit of a mask that comes first in the order.
static int pick(Worker& w, uint32_t mask) {
	switch (w.order.kind) {
	case Order::forward:
		return __builtin_ctz(mask);
	case Order::reverse:
		return 31 - __builtin_clz(mask);
	default:
		for (auto skip = unsigned(w.draw() >> 32) % unsigned(__builtin_popcount(mask)); skip; skip--) mask &= mask - 1;
		return __builtin_ctz(mask);
	}
}

void Worker::make_ready(Thread& t) {
	t.state = Thread::ready;
	t.warp->ready |= 1u << t.lane;
	ready_warps |= 1u << (t.index / 32);
}

// next takes the ready thread that comes first. A warp runs on while it can: that
// finds data in the cache; seeded orders leave it now and then.
Thread* Worker::next(const Warp* prefer) {
	if (!ready_warps) return nullptr;
	bool stay = prefer && prefer->ready && (order.kind != Order::seeded || draw() >> 61);
	unsigned w = stay ? unsigned(prefer - warps.data()) : unsigned(pick(*this, ready_warps));
	Warp& warp = warps[w];
	int lane = pick(*this, warp.ready);
	warp.ready &= ~(1u << lane);
	if (!warp.ready) ready_warps &= ~(1u << w);
	return &threads[w * 32 + unsigned(lane)];
}

void Worker::wait(Thread& t) {
	Thread* to = next(t.warp);
	if (to == &t) return;
	self = to;
	fiber_switch(&t.sp, to ? to->sp : main);
}

void Worker::stop(Thread& t) {
	wait(t);
	abort(); // nobody continues it
}

// entry is what a thread's fiber runs.
static void entry() {
	Worker& w = *worker;
	w.launch->kernel->call(w.launch->params);
	Thread& t = *self;
	t.state = Thread::finished;
	w.live--;
	t.warp->live &= ~(1u << t.lane);
	w.leave_groups(t);
	w.stop(t);
}

void Worker::run_block(Index id) {
	auto count = unsigned(threads.size());
	block_id = id;
	live = count;
	at_barrier = votes = 0;
	ready_warps = 0;
	shared_begin();
	for (unsigned i = 0; i < count; i++) {
		Thread& t = threads[i];
		t = {};
		t.idx = {i % block_dim.x, i / block_dim.x % block_dim.y, i / (block_dim.x * block_dim.y)};
		t.index = i;
		t.lane = i % 32;
		t.warp = &warps[i / 32];
		if (t.lane == 0) t.warp->ready = t.warp->live = 0, t.warp->groups.clear();
		t.warp->live |= 1u << t.lane;
		make_ready(t);
		// Stacks start at different offsets, or their tops would share cache sets.
		t.sp = fiber_make(stacks + i * STACK, STACK - (i * 192 & 8191), entry, i);
		copies[i].pending.clear();
		copies[i].group = 0;
	}
	self = next(nullptr);
	fiber_switch(&main, self->sp);
	self = nullptr;
	if (outcome.fault == Fault::none && live) outcome = {Fault::deadlock, stuck()};
	if (outcome.fault == Fault::none) shared_check();
}

Outcome run(const Launch& launch, const Order& order) {
	static thread_local Worker own;
	worker = &own;
	Worker& w = own;
	w.launch = &launch;
	w.order = order;
	w.random = (order.seed + 1) * 0x9E3779B97F4A7C15ull | 1;
	w.outcome = {};
	w.main = fiber_main();
	block_dim = {launch.block.x, launch.block.y, launch.block.z};
	grid_dim = {launch.grid.x, launch.grid.y, launch.grid.z};
	unsigned count = block_dim.x * block_dim.y * block_dim.z;
	if (count == 0 || count > 1024) return {Fault::misuse, std::string(launch.kernel->name) + ": a block of " + std::to_string(count) + " threads"};
	w.threads.resize(count);
	w.copies.resize(count);
	w.warps.resize((count + 31) / 32);
	w.need_stacks(count);

	size_t blocks = size_t(grid_dim.x) * grid_dim.y * grid_dim.z;
	std::vector<uint32_t> shuffled;
	if (order.kind == Order::seeded) {
		for (size_t i = 0; i < blocks; i++) shuffled.push_back(uint32_t(i));
		for (size_t i = blocks; i > 1; i--) std::swap(shuffled[i - 1], shuffled[w.draw() % i]);
	}
	for (size_t i = 0; i < blocks && w.outcome.fault == Fault::none; i++) {
		size_t b = order.kind == Order::reverse ? blocks - 1 - i : order.kind == Order::seeded ? shuffled[i] : i;
		w.run_block({unsigned(b % grid_dim.x), unsigned(b / grid_dim.x % grid_dim.y), unsigned(b / (size_t(grid_dim.x) * grid_dim.y))});
	}
	return w.outcome;
}

static std::string text(Index i) {
	return "(" + std::to_string(i.x) + "," + std::to_string(i.y) + "," + std::to_string(i.z) + ")";
}

std::string Worker::where(const Thread* t) const {
	std::string s = std::string(launch->kernel->name) + " block " + text(block_id);
	if (t) s += " thread " + text(t->idx);
	return s;
}

void fail(Fault fault, const std::string& what) {
	Worker& w = *worker;
	Thread* t = self;
	w.outcome = {fault, w.where(t) + ": " + what};
	Fiber dead;
	self = nullptr;
	fiber_switch(t ? &t->sp : &dead, w.main);
	abort();
}

} // namespace emu
