// An NCCL for ranks within one process: a collective is work on the fake driver's
// streams that waits until every rank's stream has come to it. It can be captured.
// Ranks sum in the order of their numbers, so all get the same bits every time.
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "../device/floats.h"
#include "../driver/library.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {

enum Result { SUCCESS = 0, UNHANDLED_CUDA_ERROR = 1, INTERNAL_ERROR = 3, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6 };
enum Type { INT32 = 2, FLOAT16 = 6, FLOAT32 = 7, BFLOAT16 = 9 };
constexpr int SUM = 0;

struct UniqueId {
	char internal[128];
};

// Call is one rank's part of a collective.
struct Call {
	const char* kind;
	const void* send;
	size_t count;
	int type, root;
};

// Round is a collective: what the ranks brought, and its result once all have come.
struct Round {
	std::vector<Call> calls;
	int arrived = 0;
	bool done = false, mismatch = false;
	std::vector<char> result;
};

// Group is the ranks that share a unique id.
struct Group {
	int size = 0, joined = 0;
	std::vector<int> devices; // by rank, -1 before it joins
	bool aborted = false;
	std::string trouble;
	std::shared_ptr<Round> round;
	std::mutex mutex;
	std::condition_variable change;
};

struct Comm {
	std::shared_ptr<Group> group;
	int rank;
};

std::mutex groups_mutex;
std::map<std::string, std::shared_ptr<Group>>& groups() {
	static auto* all = new std::map<std::string, std::shared_ptr<Group>>;
	return *all;
}

size_t width(int type) {
	switch (type) {
	case FLOAT32: case INT32: return 4;
	case FLOAT16: case BFLOAT16: return 2;
	default: return 0;
	}
}

template <class T, class Get, class Put> void sum_as(Round& r, Get get, Put put) {
	auto* to = reinterpret_cast<T*>(r.result.data());
	for (size_t i = 0; i < r.calls[0].count; i++) {
		auto sum = get(static_cast<const T*>(r.calls[0].send)[i]);
		for (size_t k = 1; k < r.calls.size(); k++) sum += get(static_cast<const T*>(r.calls[k].send)[i]);
		to[i] = put(sum);
	}
}

void sum(Round& r) {
	switch (r.calls[0].type) {
	case FLOAT32: return sum_as<float>(r, [](float v) { return v; }, [](float v) { return v; });
	case INT32: return sum_as<int32_t>(r, [](int32_t v) { return v; }, [](int32_t v) { return v; });
	case FLOAT16: return sum_as<uint16_t>(r, emu::half_to_float, emu::float_to_half);
	default: return sum_as<uint16_t>(r, emu::bf16_to_float, emu::float_to_bf16);
	}
}

// complete computes a round's result, by the last rank to come.
void complete(Round& r) {
	const Call& first = r.calls[0];
	for (const Call& c : r.calls)
		if (strcmp(c.kind, first.kind) || c.count != first.count || c.type != first.type || c.root != first.root) r.mismatch = true;
	if (r.mismatch) return;
	size_t bytes = first.count * width(first.type);
	if (!strcmp(first.kind, "ncclAllReduce")) {
		r.result.resize(bytes);
		sum(r);
	} else if (!strcmp(first.kind, "ncclAllGather")) {
		for (const Call& c : r.calls) r.result.insert(r.result.end(), static_cast<const char*>(c.send), static_cast<const char*>(c.send) + bytes);
	} else {
		auto* from = static_cast<const char*>(r.calls[size_t(first.root)].send);
		r.result.assign(from, from + bytes);
	}
}

// meet brings a rank's part and waits for the others; null where the group was
// aborted. The others' devices are made to work while it waits.
std::shared_ptr<Round> meet(Group& g, int rank, const Call& call) {
	std::unique_lock<std::mutex> lock(g.mutex);
	if (g.aborted) return nullptr;
	if (!g.round) {
		g.round = std::make_shared<Round>();
		g.round->calls.resize(size_t(g.size));
	}
	auto round = g.round;
	round->calls[size_t(rank)] = call;
	if (++round->arrived == g.size) {
		complete(*round);
		round->done = true;
		g.round = nullptr;
		g.change.notify_all();
		return round;
	}
	lock.unlock();
	for (int d : g.devices) fake::hurry(d, true);
	lock.lock();
	g.change.wait(lock, [&] { return round->done || g.aborted; });
	lock.unlock();
	for (int d : g.devices) fake::hurry(d, false);
	return round->done ? round : nullptr;
}

int enqueue(Comm* c, void* recv, size_t received, Call call, void* stream) {
	if (!c || !width(call.type)) return INVALID_ARGUMENT;
	auto group = c->group;
	int rank = c->rank;
	auto work = [=]() -> int {
		if (!fake::readable(call.send, call.count * width(call.type)) || !fake::readable(recv, received)) return 700; // CUDA_ERROR_ILLEGAL_ADDRESS
		auto round = meet(*group, rank, call);
		if (!round) return 0; // aborted: the stream goes on
		if (round->mismatch) {
			std::lock_guard<std::mutex> lock(group->mutex);
			group->trouble = std::string("the ranks disagree about ") + call.kind;
			return 719; // CUDA_ERROR_LAUNCH_FAILED
		}
		memcpy(recv, round->result.data(), received);
		return 0;
	};
	return fake::enqueue(stream, call.kind, work) ? UNHANDLED_CUDA_ERROR : SUCCESS;
}

} // namespace

API int ncclGetVersion(int* version) { return *version = 22800, SUCCESS; }

API int ncclGetUniqueId(UniqueId* id) {
	static std::atomic<uint64_t> last{0};
	memset(id, 0, sizeof *id);
	snprintf(id->internal, sizeof id->internal, "emulated group %llu", static_cast<unsigned long long>(++last));
	return SUCCESS;
}

API int ncclCommInitRank(Comm** comm, int size, UniqueId id, int rank) {
	int device = fake::device_index();
	if (device < 0) return UNHANDLED_CUDA_ERROR;
	if (size < 1 || rank < 0 || rank >= size) return INVALID_ARGUMENT;
	std::shared_ptr<Group> g;
	{
		std::lock_guard<std::mutex> lock(groups_mutex);
		auto& slot = groups()[id.internal];
		if (!slot) slot = std::make_shared<Group>();
		g = slot;
	}
	std::unique_lock<std::mutex> lock(g->mutex);
	if (!g->size) g->size = size, g->devices.assign(size_t(size), -1);
	if (g->size != size || g->devices[size_t(rank)] >= 0) return INVALID_USAGE;
	for (int d : g->devices)
		if (d == device) return g->aborted = true, g->change.notify_all(), INVALID_USAGE; // one device for two ranks
	g->devices[size_t(rank)] = device;
	g->joined++;
	g->change.notify_all();
	g->change.wait(lock, [&] { return g->joined == size || g->aborted; });
	if (g->aborted) return INVALID_USAGE;
	return *comm = new Comm{g, rank}, SUCCESS;
}

API int ncclCommDestroy(Comm* comm) { return delete comm, SUCCESS; }

API int ncclCommAbort(Comm* comm) {
	{
		std::lock_guard<std::mutex> lock(comm->group->mutex);
		comm->group->aborted = true;
		comm->group->change.notify_all();
	}
	return delete comm, SUCCESS;
}

API int ncclCommGetAsyncError(Comm* comm, int* result) {
	std::lock_guard<std::mutex> lock(comm->group->mutex);
	*result = comm->group->aborted ? REMOTE_ERROR : comm->group->trouble.empty() ? SUCCESS : INTERNAL_ERROR;
	return SUCCESS;
}

API int ncclAllReduce(const void* send, void* recv, size_t count, int type, int op, Comm* comm, void* stream) {
	if (op != SUM) return INVALID_ARGUMENT;
	return enqueue(comm, recv, count * width(type), {"ncclAllReduce", send, count, type, 0}, stream);
}

API int ncclAllGather(const void* send, void* recv, size_t count, int type, Comm* comm, void* stream) {
	if (!comm) return INVALID_ARGUMENT;
	return enqueue(comm, recv, count * width(type) * size_t(comm->group->size), {"ncclAllGather", send, count, type, 0}, stream);
}

API int ncclBroadcast(const void* send, void* recv, size_t count, int type, int root, Comm* comm, void* stream) {
	if (!comm || root < 0 || root >= comm->group->size) return INVALID_ARGUMENT;
	return enqueue(comm, recv, count * width(type), {"ncclBroadcast", comm->rank == root ? send : recv, count, type, root}, stream);
}

// Calls never wait for other ranks, so a group of them is no more than its calls.
API int ncclGroupStart() { return SUCCESS; }
API int ncclGroupEnd() { return SUCCESS; }

API const char* ncclGetErrorString(int result) {
	switch (result) {
	case SUCCESS: return "no error";
	case UNHANDLED_CUDA_ERROR: return "unhandled cuda error";
	case INTERNAL_ERROR: return "internal error";
	case INVALID_ARGUMENT: return "invalid argument";
	case INVALID_USAGE: return "invalid usage";
	case REMOTE_ERROR: return "remote process exited or there was a network error";
	default: return "unknown result code";
	}
}

API const char* ncclGetLastError(Comm* comm) {
	static thread_local std::string text;
	if (!comm) return "";
	std::lock_guard<std::mutex> lock(comm->group->mutex);
	return (text = comm->group->trouble).c_str();
}
