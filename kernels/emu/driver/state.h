// What the fake driver consists of: devices that each have a thread doing the work
// of their streams, and the objects behind the handles that the driver API gives.
//
// Work is put off until somebody waits for it: a result that is read without a
// wait is the poison that was there before. Events and the default stream's rules
// alone hold streams together: with the order "forward" a device does no more than
// what is waited for needs, with "reverse" whatever is newest first, with "seed:N"
// anything.
//
// One mutex guards everything here. It is not held while work runs.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "../exec/executor.h"
#include "codes.h"

#define API extern "C" __attribute__((visibility("default")))

namespace fake {

using Address = uintptr_t;

struct Device;
struct Stream;

// Node is one piece of work: a launch, a copy, a memset, a library's call. It runs
// on the device's thread, any number of times where it is part of a graph.
struct Node {
	enum Kind { launch, copy, fill, call } kind;
	std::string name;
	std::function<Code(Device&)> run;
};

// Point is a place in a stream: the work before it is done once the stream has
// finished that much.
struct Point {
	std::shared_ptr<Stream> stream;
	uint64_t at = 0;
};

// Item is what a stream's queue holds: a node, or a graph's nodes.
struct Item {
	std::shared_ptr<const std::vector<Node>> graph; // null: node
	Node node;
	std::vector<Point> after; // what has to be done before
	uint64_t order;           // of submission, over all streams
};

// Capture is a recording, to which streams that wait for its events belong.
struct Capture {
	std::vector<Node> nodes;
	Stream* origin;
	bool spoiled = false; // a call was made that a recording forbids
};

struct Stream {
	Device* device;
	bool blocking; // waits for the default stream and is waited for by it
	std::deque<Item> queue;
	uint64_t issued = 0, finished = 0;
	std::vector<Point> waits; // for the next item
	std::shared_ptr<Capture> capture;
};

struct Event {
	Device* device;
	Point point;
	std::shared_ptr<Capture> capture; // of the stream it was recorded in
	std::shared_ptr<double> passed;   // when, in ms; null: not recorded, 0: not passed
	bool timing;
};

// Graph is what a capture gives and what an exec holds.
struct Graph {
	std::shared_ptr<const std::vector<Node>> nodes;
};

struct Module {
	void* library;
};

struct Function {
	const emu::Kernel* kernel;
	size_t dynamic = 48 << 10; // shared memory that a launch may ask for
	bool raised = false;       // by cuFuncSetAttribute
};

// Allocation is device memory between two pages that nobody may touch; the bytes
// before and after it in its own pages are guards.
struct Allocation {
	Device* device;
	char* at;
	size_t bytes;
	char* map;
	size_t mapped;
};

// Handles keeps the objects that handles stand for: one that was destroyed, or
// never given, is found invalid.
template <class T> struct Handles {
	std::unordered_map<const void*, std::shared_ptr<T>> live;

	void* add(std::shared_ptr<T> t) {
		void* h = t.get();
		live[h] = std::move(t);
		return h;
	}
	std::shared_ptr<T> find(const void* h) const {
		auto i = live.find(h);
		return i == live.end() ? nullptr : i->second;
	}
	bool drop(const void* h) { return live.erase(h) > 0; }
};

// Counters are what tests read, by device.
struct Counters {
	std::map<std::string, uint64_t> launches; // by kernel
	uint64_t direct_launches = 0;             // those of them that no graph held
	uint64_t graph_launches = 0;
	uint64_t copies_in = 0, bytes_in = 0, copies_out = 0, bytes_out = 0, copies_within = 0, bytes_within = 0;
	uint64_t fills = 0, allocations = 0, frees = 0, syncs = 0;
	std::map<std::string, uint64_t> calls; // of libraries: "cublasLtMatmul", "ncclAllReduce"
};

struct Device {
	int index;
	size_t memory, used = 0, peak = 0;
	int retained = 0;
	Code lost = SUCCESS; // the sticky fault of its context
	std::string why;
	std::shared_ptr<Stream> null;
	std::vector<std::shared_ptr<Stream>> streams; // with work, or without
	std::vector<bool> peers;                      // whose memory it may use
	std::vector<Point> wanted;                    // what somebody waits for
	int hurried = 0;                              // collectives that wait for this device's work
	bool busy = false, started = false;
	uint64_t random = 1;
	Counters counters;
};

struct State {
	std::mutex mutex;
	std::condition_variable work, done;
	std::vector<std::unique_ptr<Device>> devices;
	emu::Order order;
	uint64_t submitted = 0;
	Handles<Stream> streams;
	Handles<Event> events;
	Handles<Graph> graphs, execs;
	Handles<Module> modules;
	Handles<Function> functions;
	std::map<Address, Allocation> allocations; // by address
	std::map<Address, size_t> pinned;          // host memory
};

// state is made by cuInit and never destroyed: device threads use it to the end.
State& state();
using Lock = std::unique_lock<std::mutex>;

// current is the device whose context is current on this thread, or null.
Device*& current();

// enter begins a call that needs a context: the current device, or the code to
// return. A context that is lost answers every call with its fault.
Code enter(Device** device);

// stream.cc
std::shared_ptr<Stream> find_stream(Device* d, const void* handle); // null: none such
void start(Device& d);                                              // the device's thread
Code submit(Lock& lock, const std::shared_ptr<Stream>& s, Node node);
Code submit_graph(Lock& lock, const std::shared_ptr<Stream>& s, std::shared_ptr<const std::vector<Node>> nodes);
Code wait_for(Lock& lock, Device& d, const std::vector<Point>& points);
Code drain(Lock& lock, Device& d); // all work enqueued so far
// forbid is the code of a call that a recording on this thread forbids, and spoils it.
Code forbid();
int& recording(); // streams that this thread records

// memory.cc
const Allocation* find_allocation(Address a, size_t bytes); // that holds all of them
const Allocation* owner(Address a);                         // that holds the byte
bool is_pinned(const void* p, size_t bytes);
Code allocate(Device& d, size_t bytes, Address* at);
void release(std::map<Address, Allocation>::iterator i);
std::string broken_guard(const Device& d); // a sentence, empty where all are whole
void forget(Device& d);                    // all of its memory

// counters.cc
Code injected(const std::string& name); // the code that this call of name shall fail with

} // namespace fake
