// Graphs: what a capture recorded, run again and again in its order.
#include "state.h"

namespace fake {

// same says whether the nodes of a graph may take the place of those of an exec:
// the arguments may differ, the work may not.
static bool same(const std::vector<Node>& a, const std::vector<Node>& b) {
	if (a.size() != b.size()) return false;
	for (size_t i = 0; i < a.size(); i++)
		if (a[i].kind != b[i].kind || a[i].name != b[i].name) return false;
	return true;
}

struct UpdateResult { // CUgraphExecUpdateResultInfo
	int result;
	void *node, *from;
};

} // namespace fake

using namespace fake;

API int cuGraphDestroy(void* graph) {
	Lock lock(state().mutex);
	return state().graphs.drop(graph) ? SUCCESS : INVALID_HANDLE;
}

API int cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto g = state().graphs.find(graph);
	if (!g) return INVALID_HANDLE;
	return *exec = state().execs.add(std::make_shared<Graph>(*g)), SUCCESS;
}

API int cuGraphExecDestroy(void* exec) {
	Lock lock(state().mutex);
	return state().execs.drop(exec) ? SUCCESS : INVALID_HANDLE;
}

// Launches that are enqueued keep the arguments that they were enqueued with.
API int cuGraphExecUpdate_v2(void* exec, void* graph, UpdateResult* result) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto e = state().execs.find(exec), g = state().graphs.find(graph);
	if (!e || !g) return INVALID_HANDLE;
	*result = {0, nullptr, nullptr};
	if (!same(*e->nodes, *g->nodes)) return result->result = 2, GRAPH_EXEC_UPDATE_FAILURE; // the topology changed
	e->nodes = g->nodes;
	return SUCCESS;
}

API int cuGraphUpload(void* exec, void*) {
	Lock lock(state().mutex);
	return state().execs.find(exec) ? SUCCESS : INVALID_HANDLE;
}

API int cuGraphLaunch(void* exec, void* stream) {
	Device* d;
	Lock lock(state().mutex);
	if (Code code = enter(&d)) return code;
	auto e = state().execs.find(exec);
	auto s = find_stream(d, stream);
	if (!e || !s) return INVALID_HANDLE;
	if (!s->capture) d->counters.graph_launches++;
	return submit_graph(lock, s, e->nodes);
}

// cuGraphGetNodes counts the nodes; their handles are their numbers.
API int cuGraphGetNodes(void* graph, void** nodes, size_t* count) {
	Lock lock(state().mutex);
	auto g = state().graphs.find(graph);
	if (!g) return INVALID_HANDLE;
	if (nodes)
		for (size_t i = 0; i < *count && i < g->nodes->size(); i++) nodes[i] = reinterpret_cast<void*>(i + 1);
	return *count = g->nodes->size(), SUCCESS;
}
