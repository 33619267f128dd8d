// The executor: runs one launch of a kernel on this CPU, a fiber a CUDA thread, a
// block at a time on the calling thread. It knows nothing of devices, streams or
// memory; the fake driver above it does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace emu {

struct Dim {
	unsigned x = 1, y = 1, z = 1;
};
struct Index { // threadIdx and its like: plain, so that it can be thread-local without a constructor
	unsigned x, y, z;
};

// Kernel describes a kernel that EXPORT_KERNEL names. call runs it for the current
// thread; params points at each argument, whose sizes are given.
struct Kernel {
	const char* name;
	void (*call)(void* const* params);
	int params;
	const uint16_t* sizes;
};

// Order is the order in which threads of a warp, warps of a block and blocks of a
// grid run between two points where they meet. A kernel that is right gives the
// same in all of them.
struct Order {
	enum Kind { forward, reverse, seeded } kind = forward;
	uint64_t seed = 0;
};

// parse_order reads "forward", "reverse" or "seed:N"; false for anything else.
bool parse_order(const char* text, Order* order);

// Launch is one launch; limit is the shared memory that a block may have, static
// and dynamic together.
struct Launch {
	const Kernel* kernel;
	Dim grid, block;
	size_t shared = 0;
	size_t limit = 48 << 10;
	void* const* params;
};

enum class Fault {
	none,
	address,     // an address that no allocation has
	deadlock,    // threads wait for others that never come
	barrier,     // threads of a block at different __syncthreads
	shared,      // shared memory: too much, or written past an array
	misuse,      // a collective called against its contract
	instruction, // SIGILL, SIGFPE
};

// Outcome says how a launch ended; text names kernel, block and thread.
struct Outcome {
	Fault fault = Fault::none;
	std::string text;
};

// run executes every block. It may be called from several threads at once, each
// then being a device of its own. After a fault the rest of the grid is not run.
Outcome run(const Launch& launch, const Order& order);

// What follows is called by the kernel's own code (device/*.h).

struct Warp;

// Thread is a CUDA thread while its block runs.
struct Thread {
	void* sp = nullptr; // where its fiber continues; null until it has started
	Index idx = {0, 0, 0};
	unsigned index = 0; // in the block
	unsigned lane = 0;
	Warp* warp = nullptr;
	int stack = -1;     // its number, while it has one
	enum State : uint8_t { fresh, barrier, collective, finished } state = fresh; // where it last waited
	uint32_t mask = 0;        // of the collective
	const char* at = nullptr; // the collective, or the file of the barrier
	int line = 0;             // of the barrier
};

// The running thread, and its block. Kernels read them all the time: initial-exec
// makes that one instruction, also in a library that is loaded late.
#define EMU_TLS __thread __attribute__((tls_model("initial-exec")))
extern EMU_TLS Thread* self;
extern EMU_TLS Index block_id, block_dim, grid_dim;

// Site is where a barrier stands in the source: threads of a block meet at one.
struct Site {
	const char* file;
	int line;
};

// block_barrier waits for every thread of the block and returns how many came with
// vote set. A thread that has returned never comes: that is a deadlock.
unsigned block_barrier(bool vote, Site site);

// A collective's arguments live on the stack of each thread. The last of the
// threads in mask to come runs finish, which sees all of them (args[lane], for the
// lanes in present) and leaves each thread's result in its own arguments.
using Finish = void (*)(uint32_t present, void* const* args);
void collective(uint32_t mask, const char* name, void* args, Finish finish);

// Shared memory: poisoned with 0xFF when a block starts, guard bytes behind every
// array. A SharedKey is one SHARED declaration.
struct SharedKey {
	int id = 0; // given at the first use
};
void* shared_array(SharedKey& key, size_t bytes, size_t align, const char* name);
void* shared_dynamic();

// Asynchronous copies from global to shared memory: the destination is poisoned
// at once and filled at the wait and not before. src null: zeros.
void copy_async(void* dst, const void* src, unsigned bytes);
void copy_commit();
void copy_wait(unsigned groups); // all but the newest groups are complete after it

// fail ends the launch from inside a kernel.
[[noreturn]] void fail(Fault fault, const std::string& text);

} // namespace emu
