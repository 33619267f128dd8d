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

uint32_t Worker::draw() { // xorshift64*
	random ^= random >> 12;
	random ^= random << 25;
	random ^= random >> 27;
	return uint32_t(random * 0x2545F4914F6CDD1Dull >> 32);
}

// pick is the bit of a mask that comes first in the order.
static unsigned pick(Worker& w, uint32_t mask) {
	switch (w.order.kind) {
	case Order::forward:
		return unsigned(__builtin_ctz(mask));
	case Order::reverse:
		return unsigned(31 - __builtin_clz(mask));
	default: { // the first from a random place on
		unsigned from = w.draw() & 31;
		uint32_t turned = mask >> from | mask << (-from & 31);
		return (unsigned(__builtin_ctz(turned)) + from) & 31;
	}
	}
}

void Worker::make_ready(Warp& w, uint32_t lanes) {
	w.ready |= lanes;
	ready_warps |= 1u << (&w - warps.data());
}

// next takes the ready thread that comes first. A warp runs on while it can: that
// finds data in the cache; seeded orders leave it now and then.
Thread* Worker::next(const Warp* prefer) {
	if (!ready_warps) return nullptr;
	bool stay = prefer && prefer->ready && (order.kind != Order::seeded || draw() & 7);
	unsigned w = stay ? unsigned(prefer - warps.data()) : pick(*this, ready_warps);
	Warp& warp = warps[w];
	unsigned lane = pick(*this, warp.ready);
	warp.ready &= ~(1u << lane);
	if (!warp.ready) ready_warps &= ~(1u << w);
	return &threads[w * 32 + lane];
}

void Worker::wait(Thread& t) {
	Thread* to = next(t.warp);
	if (to != &t) enter(&t.sp, to);
}

// entry is what a fiber runs: a thread, and after it those that have not started.
static void entry() {
	Worker& w = *worker;
	for (;;) {
		w.launch->kernel->call(w.launch->params);
		Thread& done = *self;
		w.finish(done);
		Thread* to = w.next(done.warp);
		if (!to || to->sp) { // this stack is not needed any more
			w.free_stacks.push_back(done.stack);
			Fiber dead = done.sp;
			w.enter(&dead, to);
		}
		to->stack = done.stack;
		to->sp = done.sp; // not null: it has started
		self = to;
	}
}

void Worker::enter(Fiber* from, Thread* t) {
	self = t;
	if (t && !t->sp) {
		int i = t->stack = free_stacks.back();
		free_stacks.pop_back();
		// Stacks start at different offsets, or their tops would share cache sets.
		t->sp = fiber_make(stacks + size_t(i) * STACK, STACK - (unsigned(i) * 192 & 8191), entry, unsigned(i));
	}
	fiber_switch(from, t ? t->sp : main);
}

void Worker::finish(Thread& t) {
	t.state = Thread::finished;
	live--;
	t.warp->live &= ~(1u << t.lane);
	if (t.warp->group_count) leave_groups(t);
}

void Worker::run_block(Index id) {
	auto count = unsigned(threads.size());
	block_id = id;
	live = count;
	at_barrier = votes = 0;
	ready_warps = 0;
	shared_begin();
	free_stacks.clear();
	for (unsigned i = count; i-- > 0;) free_stacks.push_back(int(i));
	Index idx = {0, 0, 0};
	for (unsigned i = 0; i < count; i++) {
		Thread& t = threads[i];
		t = {};
		t.idx = idx;
		t.index = i;
		t.lane = i % 32;
		t.warp = &warps[i / 32];
		copies[i].pending.clear();
		copies[i].group = 0;
		if (++idx.x == block_dim.x) idx.x = 0, idx.y++;
		if (idx.y == block_dim.y) idx.y = 0, idx.z++;
	}
	for (unsigned i = 0; i < count; i += 32) {
		Warp& w = warps[i / 32];
		w.live = count - i >= 32 ? ~0u : (1u << (count - i)) - 1;
		w.ready = 0;
		w.group_count = 0;
		make_ready(w, w.live);
	}
	enter(&main, next(nullptr));
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
	std::string name = launch.kernel->name;
	if (count == 0 || count > 1024) return {Fault::misuse, name + ": a block of " + std::to_string(count) + " threads"};
	if (launch.shared > launch.limit) return {Fault::shared, name + ": " + std::to_string(launch.shared) + " bytes of shared memory"};
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

void fail(Fault fault, const std::string& what) { // on a fiber
	Worker& w = *worker;
	Thread* t = self;
	w.outcome = {fault, w.where(t) + ": " + what};
	self = nullptr;
	fiber_switch(&t->sp, w.main);
	abort();
}

} // namespace emu
