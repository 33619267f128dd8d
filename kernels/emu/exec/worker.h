// What the parts of the executor share: the worker of an OS thread and the block
// that it runs.
#pragma once
#include <string>
#include <vector>

#include "executor.h"
#include "fiber.h"

namespace emu {

// Group is a collective that some lanes of a warp wait in.
struct Group {
	uint32_t mask, arrived;
	const char* name;
	Finish finish;
};

struct Warp {
	uint32_t ready = 0; // lanes that can run
	uint32_t live = 0;  // lanes that have not returned
	void* args[32];     // of the collective that each lane waits in
	Group groups[32];   // that wait, nearly always one
	unsigned group_count = 0;
};

// AsyncCopy is a cp.async that has not completed.
struct AsyncCopy {
	void* to;
	const void* from; // null: zeros
	unsigned bytes, group;
};

// Copies are a thread's asynchronous copies; group is the one being filled.
struct Copies {
	std::vector<AsyncCopy> pending;
	unsigned group = 0;
};

// Placed is an array in shared memory, its guard bytes behind it.
struct Placed {
	const char* name;
	char* at;
	size_t bytes;
};

struct Worker {
	Worker();
	~Worker();

	const Launch* launch = nullptr;
	Order order;
	uint64_t random = 1;
	Outcome outcome;
	Fiber main = nullptr; // the worker's own stack while fibers run

	// The block.
	std::vector<Thread> threads;
	std::vector<Copies> copies; // by thread
	std::vector<Warp> warps;
	uint32_t ready_warps = 0; // those with a ready lane
	unsigned live = 0, at_barrier = 0, votes = 0, voted = 0;
	Site site{};

	// Shared memory of the block.
	char* arena = nullptr; // ARENA bytes between pages that nobody may touch
	size_t used = 0;       // bytes of it, guards included
	std::vector<Placed> placed;
	std::vector<void*> by_key; // address by SharedKey.id, null where not yet placed

	// Stacks, the lowest page of each out of bounds. A thread that starts takes the
	// one that was given back last; one that ends without having waited hands its
	// own to the next, so that simple kernels run on a single one.
	char* stacks = nullptr;
	size_t stack_count = 0;
	std::vector<int> free_stacks;

	void run_block(Index id);
	void need_stacks(unsigned count);
	void make_ready(Warp& w, uint32_t lanes);
	Thread* next(const Warp* prefer);
	void wait(Thread& t); // leaves t for another that is ready
	void enter(Fiber* from, Thread* t); // runs t, or the worker's own stack where t is null
	void finish(Thread& t);
	void release_barrier();
	void complete(Warp& w, unsigned group);
	void leave_groups(Thread& t);
	void shared_begin();
	bool shared_check(); // false, with the outcome set, where a guard is overwritten
	std::string where(const Thread* t) const;
	std::string stuck() const;
	uint32_t draw();
};

constexpr size_t ARENA = 256 << 10, GUARD = 64, STACK = 64 << 10;

extern EMU_TLS Worker* worker;

// install_signals makes faults in kernels end the launch; other faults go to the
// handler that was there before (Go's).
void install_signals();

} // namespace emu
