// Streams: queues of work, the thread that does it, and the calls that wait.
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "state.h"

namespace fake {

int& recording() {
	static thread_local int n;
	return n;
}

// The recordings of this thread, so that a forbidden call can spoil them.
static std::vector<std::weak_ptr<Capture>>& captures() {
	static thread_local std::vector<std::weak_ptr<Capture>> all;
	return all;
}

Code forbid() {
	if (!recording()) return SUCCESS;
	for (auto& weak : captures())
		if (auto c = weak.lock()) c->spoiled = true;
	return STREAM_CAPTURE_UNSUPPORTED;
}

std::shared_ptr<Stream> find_stream(Device* d, const void* handle) {
	if (!handle || handle == reinterpret_cast<void*>(1) || handle == reinterpret_cast<void*>(2)) return d->null;
	auto s = state().streams.find(handle);
	return s && s->device == d ? s : nullptr;
}

static bool reached(const Point& p) { return !p.stream || p.stream->finished >= p.at; }

static bool can_run(const Stream& s) {
	return !s.queue.empty() && std::all_of(s.queue.front().after.begin(), s.queue.front().after.end(), reached);
}

// want asks that a point be reached, by whatever device its stream is on.
static void want(const Point& p) {
	if (!reached(p)) p.stream->device->wanted.push_back(p);
}

// choose is the stream whose first item the device does next, null where nothing
// that is wanted can be done.
static Stream* choose(Device& d) {
	auto& wanted = d.wanted;
	wanted.erase(std::remove_if(wanted.begin(), wanted.end(), reached), wanted.end());
	if (wanted.empty() && !d.hurried) return nullptr;
	std::vector<Stream*> ready;
	for (auto& s : d.streams)
		if (can_run(*s)) ready.push_back(s.get());
	// What holds up a wanted stream is wanted too.
	for (size_t i = 0; i < wanted.size(); i++) {
		Stream& s = *wanted[i].stream;
		if (s.device != &d || s.queue.empty()) continue;
		for (const Point& p : std::vector<Point>(s.queue.front().after)) {
			bool known = std::any_of(p.stream->device->wanted.begin(), p.stream->device->wanted.end(),
			                         [&](const Point& q) { return q.stream == p.stream && q.at >= p.at; });
			if (!reached(p) && !known) {
				want(p);
				state().work.notify_all();
			}
		}
	}
	if (ready.empty()) return nullptr;
	auto oldest = [](Stream* a, Stream* b) { return a->queue.front().order < b->queue.front().order; };
	switch (state().order.kind) {
	case emu::Order::forward: {
		std::vector<Stream*> asked;
		for (Stream* s : ready)
			if (d.hurried || std::any_of(wanted.begin(), wanted.end(), [&](const Point& p) { return p.stream.get() == s; })) asked.push_back(s);
		return asked.empty() ? nullptr : *std::min_element(asked.begin(), asked.end(), oldest);
	}
	case emu::Order::reverse:
		return *std::max_element(ready.begin(), ready.end(), oldest);
	default:
		d.random = d.random * 6364136223846793005ull + state().order.seed * 2 + 1;
		return ready[(d.random >> 33) % ready.size()];
	}
}

static Code run_node(Device& d, const Node& n) {
	if (n.kind == Node::launch || n.kind == Node::call) {
		Lock lock(state().mutex);
		(n.kind == Node::launch ? d.counters.launches : d.counters.calls)[n.name]++;
		if (Code code = injected(n.name)) {
			d.why = n.name + ": injected";
			return code;
		}
	}
	return n.run(d);
}

// perform does one item and answers with the first fault.
static Code perform(Device& d, const Item& item) {
	if (!item.graph) return run_node(d, item.node);
	for (const Node& n : *item.graph)
		if (Code code = run_node(d, n)) return code;
	return SUCCESS;
}

// lose is a context's fault: nothing of what is enqueued will be done.
static void lose(Device& d, Code code) {
	d.lost = code;
	for (auto& s : d.streams) {
		s->queue.clear();
		s->finished = s->issued;
	}
	state().done.notify_all();
	state().work.notify_all();
}

static void serve(Device& d) {
	State& st = state();
	current() = &d;
	Lock lock(st.mutex);
	for (;;) {
		Stream* s = choose(d);
		if (!s) {
			st.work.wait(lock);
			continue;
		}
		std::shared_ptr<Stream> keep;
		for (auto& held : d.streams)
			if (held.get() == s) keep = held;
		Item item = std::move(s->queue.front());
		s->queue.pop_front();
		d.busy = true;
		lock.unlock();
		Code code = perform(d, item);
		lock.lock();
		d.busy = false;
		if (s->finished < s->issued) s->finished++;
		if (code && !d.lost) lose(d, code);
		st.done.notify_all();
		st.work.notify_all();
	}
}

void start(Device& d) {
	if (d.started) return;
	d.started = true;
	// Signals of the process are for the threads of the program: only faults of
	// kernels are taken here.
	sigset_t all, before;
	sigfillset(&all);
	for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, s);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	std::thread([&d] { serve(d); }).detach();
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

static Point tail(const std::shared_ptr<Stream>& s) { return {s, s->issued}; }

static void push(const std::shared_ptr<Stream>& s, Item item) {
	Device& d = *s->device;
	item.after = std::move(s->waits);
	s->waits.clear();
	if (s->blocking) // the default stream and the blocking ones wait for each other
		for (auto& other : d.streams)
			if (other != s && other->blocking && (s == d.null || other == d.null) && other->finished < other->issued) item.after.push_back(tail(other));
	item.order = state().submitted++;
	s->issued++;
	s->queue.push_back(std::move(item));
	if (d.hurried || !d.wanted.empty()) state().work.notify_all();
}

Code submit(Lock&, const std::shared_ptr<Stream>& s, Node node) {
	if (s->capture) {
		s->capture->nodes.push_back(std::move(node));
		return SUCCESS;
	}
	if (s == s->device->null && recording()) return forbid(), STREAM_CAPTURE_IMPLICIT;
	push(s, {nullptr, std::move(node), {}, 0});
	return SUCCESS;
}

Code submit_graph(Lock&, const std::shared_ptr<Stream>& s, std::shared_ptr<const std::vector<Node>> nodes) {
	if (s->capture) { // a child graph
		s->capture->nodes.insert(s->capture->nodes.end(), nodes->begin(), nodes->end());
		return SUCCESS;
	}
	push(s, {std::move(nodes), {}, {}, 0});
	return SUCCESS;
}

Code wait_for(Lock& lock, Device& d, const std::vector<Point>& points) {
	for (const Point& p : points) want(p);
	state().work.notify_all();
	state().done.wait(lock, [&] { return d.lost || std::all_of(points.begin(), points.end(), reached); });
	if (d.lost) return d.lost;
	std::string text = broken_guard(d);
	if (text.empty()) return SUCCESS;
	d.why = text;
	lose(d, ILLEGAL_ADDRESS);
	return d.lost;
}

Code drain(Lock& lock, Device& d) {
	std::vector<Point> all;
	for (auto& s : d.streams) all.push_back(tail(s));
	return wait_for(lock, d, all);
}

static double now() {
	return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// capturing is the code for a wait on a stream that records.
static Code capturing(const Stream& s) {
	if (!s.capture) return SUCCESS;
	s.capture->spoiled = true;
	return STREAM_CAPTURE_UNSUPPORTED;
}

} // namespace fake

using namespace fake;

API int cuStreamCreateWithPriority(void** handle, unsigned flags, int) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = std::make_shared<Stream>();
	s->device = d;
	s->blocking = !(flags & 1);
	d->streams.push_back(s);
	return *handle = state().streams.add(s), SUCCESS;
}
API int cuStreamCreate(void** handle, unsigned flags) { return cuStreamCreateWithPriority(handle, flags, 0); }

API int cuStreamDestroy_v2(void* handle) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = state().streams.find(handle);
	if (!s || s->device != d) return INVALID_HANDLE;
	if (Code code = wait_for(lock, *d, {tail(s)})) return code; // its work is done, as the driver does later
	d->streams.erase(std::remove(d->streams.begin(), d->streams.end(), s), d->streams.end());
	state().streams.drop(handle);
	return SUCCESS;
}

API int cuStreamSynchronize(void* handle) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, handle);
	if (!s) return INVALID_HANDLE;
	if (Code code = capturing(*s)) return code;
	d->counters.syncs++;
	std::vector<Point> points = {tail(s)};
	points.insert(points.end(), s->waits.begin(), s->waits.end());
	return wait_for(lock, *d, points);
}

// A query is a way to wait, so it makes the device work, but it does not block.
static Code query(Device& d, const Point& p) {
	if (reached(p)) return SUCCESS;
	want(p);
	state().work.notify_all();
	return d.lost ? d.lost : NOT_READY;
}

API int cuStreamQuery(void* handle) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, handle);
	if (!s) return INVALID_HANDLE;
	if (Code code = capturing(*s)) return code;
	return query(*d, tail(s));
}

API int cuStreamWaitEvent(void* handle, void* event, unsigned) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, handle);
	auto e = state().events.find(event);
	if (!s || !e) return INVALID_HANDLE;
	if (e->capture) { // the stream joins the recording, or belongs to it
		if (s->capture && s->capture != e->capture) return capturing(*s), STREAM_CAPTURE_UNSUPPORTED;
		s->capture = e->capture;
		return SUCCESS;
	}
	if (!s->capture && e->point.stream) s->waits.push_back(e->point);
	return SUCCESS;
}

API int cuStreamGetFlags(void* handle, unsigned* flags) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, handle);
	if (!s) return INVALID_HANDLE;
	return *flags = !s->blocking, SUCCESS;
}

API int cuStreamGetPriority(void*, int* priority) { return *priority = 0, SUCCESS; }

API int cuEventCreate(void** handle, unsigned flags) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto e = std::make_shared<Event>();
	e->device = d;
	e->timing = !(flags & 2);
	return *handle = state().events.add(e), SUCCESS;
}

API int cuEventDestroy_v2(void* handle) {
	Lock lock(state().mutex);
	return state().events.drop(handle) ? SUCCESS : INVALID_HANDLE;
}

API int cuEventRecord(void* handle, void* stream) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto e = state().events.find(handle);
	auto s = find_stream(d, stream);
	if (!e || !s || e->device != d) return INVALID_HANDLE;
	e->capture = s->capture;
	if (s->capture) return SUCCESS;
	auto passed = std::make_shared<double>(0);
	if (Code code = submit(lock, s, {Node::fill, "", [passed](Device&) { return *passed = now(), SUCCESS; }})) return code;
	e->passed = passed;
	e->point = tail(s);
	return SUCCESS;
}

API int cuEventSynchronize(void* handle) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto e = state().events.find(handle);
	if (!e) return INVALID_HANDLE;
	if (e->capture) return e->capture->spoiled = true, STREAM_CAPTURE_UNSUPPORTED;
	d->counters.syncs++;
	return wait_for(lock, *e->device, {e->point});
}

API int cuEventQuery(void* handle) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto e = state().events.find(handle);
	if (!e) return INVALID_HANDLE;
	if (e->capture) return e->capture->spoiled = true, STREAM_CAPTURE_UNSUPPORTED;
	return query(*d, e->point);
}

API int cuEventElapsedTime(float* ms, void* from, void* to) {
	Lock lock(state().mutex);
	auto a = state().events.find(from), b = state().events.find(to);
	if (!a || !b || !a->timing || !b->timing || !a->passed || !b->passed) return INVALID_HANDLE;
	if (!*a->passed || !*b->passed) return NOT_READY;
	return *ms = float(*b->passed - *a->passed), SUCCESS;
}
API int cuEventElapsedTime_v2(float* ms, void* from, void* to) { return cuEventElapsedTime(ms, from, to); }

// cuLaunchHostFunc: the function runs on the device's thread.
API int cuLaunchHostFunc(void* stream, void (*f)(void*), void* data) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, stream);
	if (!s) return INVALID_HANDLE;
	return submit(lock, s, {Node::fill, "host", [=](Device&) { return f(data), SUCCESS; }});
}

// Recording.

API int cuStreamBeginCapture_v2(void* handle, int) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, handle);
	if (!s) return INVALID_HANDLE;
	if (s->capture || s == d->null) return STREAM_CAPTURE_UNSUPPORTED;
	s->capture = std::make_shared<Capture>();
	s->capture->origin = s.get();
	captures().push_back(s->capture);
	recording()++;
	return SUCCESS;
}

API int cuStreamEndCapture(void* handle, void** graph) {
	Device* d;
	Lock lock(state().mutex);
	*graph = nullptr;
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, handle);
	if (!s) return INVALID_HANDLE;
	auto c = s->capture;
	if (!c) return INVALID_VALUE;
	if (c->origin != s.get()) return STREAM_CAPTURE_UNMATCHED;
	for (auto& other : d->streams)
		if (other->capture == c) other->capture = nullptr;
	recording()--;
	auto& all = captures();
	all.erase(std::remove_if(all.begin(), all.end(), [&](auto& w) { return w.lock() == c || w.expired(); }), all.end());
	if (c->spoiled) return STREAM_CAPTURE_INVALIDATED;
	auto g = std::make_shared<Graph>();
	g->nodes = std::make_shared<const std::vector<Node>>(std::move(c->nodes));
	return *graph = state().graphs.add(g), SUCCESS;
}

API int cuStreamIsCapturing(void* handle, int* status) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto s = find_stream(d, handle);
	if (!s) return INVALID_HANDLE;
	return *status = !s->capture ? 0 : s->capture->spoiled ? 2 : 1, SUCCESS;
}
