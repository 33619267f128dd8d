// Where threads meet: the block's barrier and the warp's collectives.
#include <cstring>
#include <map>

#include "worker.h"

namespace emu {

// CUDA wants every thread of the block at the same barrier. Hardware lets some
// breaches pass and hangs at others; here each is a fault.
unsigned block_barrier(bool vote, Site site) {
	Worker& w = *worker;
	Thread& t = *self;
	if (w.at_barrier == 0) {
		w.site = site;
	} else if (w.site.line != site.line || (w.site.file != site.file && strcmp(w.site.file, site.file))) {
		fail(Fault::barrier, std::string("at the barrier of ") + site.file + ":" + std::to_string(site.line) + " while others are at that of " +
		                         w.site.file + ":" + std::to_string(w.site.line));
	}
	t.at = site.file;
	t.line = site.line;
	t.state = Thread::barrier;
	w.votes += vote;
	if (++w.at_barrier == w.threads.size()) w.release_barrier();
	w.wait(t);
	return w.voted;
}

void Worker::release_barrier() {
	at_barrier = 0;
	voted = votes;
	votes = 0;
	for (Warp& w : warps) make_ready(w, w.live);
}

void collective(uint32_t mask, const char* name, void* args, Finish finish) {
	Worker& w = *worker;
	Thread& t = *self;
	Warp& warp = *t.warp;
	uint32_t bit = 1u << t.lane;
	if (!(mask & bit)) fail(Fault::misuse, std::string(name) + " by a lane that its mask leaves out");

	unsigned i = 0;
	while (i < warp.group_count && warp.groups[i].mask != mask) i++;
	Group& g = warp.groups[i];
	if (i == warp.group_count) {
		g = {mask, 0, name, finish};
		warp.group_count++;
	}
	if (g.finish != finish && strcmp(g.name, name)) fail(Fault::misuse, std::string(name) + " while other lanes of its mask are in " + g.name);
	g.arrived |= bit;
	warp.args[t.lane] = args;
	t.state = Thread::collective;
	t.mask = mask;
	t.at = name;
	if (g.arrived == (mask & warp.live)) w.complete(warp, i);
	w.wait(t);
}

// complete runs a collective that all have come to, and lets them go.
void Worker::complete(Warp& w, unsigned i) {
	Group g = w.groups[i];
	w.groups[i] = w.groups[--w.group_count];
	g.finish(g.arrived, w.args);
	make_ready(w, g.arrived);
}

// leave_groups: a collective waits only for those lanes of its mask that have not
// returned.
void Worker::leave_groups(Thread& t) {
	Warp& w = *t.warp;
	for (unsigned i = 0; i < w.group_count;) {
		if (w.groups[i].arrived == (w.groups[i].mask & w.live))
			complete(w, i);
		else
			i++;
	}
}

// stuck says where the threads of a block wait that nobody can wake.
std::string Worker::stuck() const {
	std::map<std::string, unsigned> places;
	const Thread* first = nullptr;
	for (const Thread& t : threads) {
		if (t.state == Thread::finished) {
			places["returned"]++;
			continue;
		}
		if (!first) first = &t;
		char mask[16];
		snprintf(mask, sizeof mask, "0x%08x", t.mask);
		places[t.state == Thread::barrier ? std::string("at the barrier of ") + t.at + ":" + std::to_string(t.line)
		                                  : std::string("in ") + t.at + " of mask " + mask]++;
	}
	std::string s = where(first) + ": deadlock:";
	const char* between = " ";
	for (auto& [place, count] : places) {
		s += between + std::to_string(count) + (count == 1 ? " thread " : " threads ") + place;
		between = ", ";
	}
	return s;
}

} // namespace emu
