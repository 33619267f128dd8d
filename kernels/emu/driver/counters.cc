// What tests use besides the driver API: counters, thread orders, injected faults.
#include <cstdlib>
#include <cstring>

#include "state.h"

namespace fake {

// A fault that the nth call of a kernel, of a library's function or of cuMemAlloc
// shall meet.
struct Injection {
	std::string name;
	uint64_t left;
	Code code;
};

static std::vector<Injection>& injections() {
	static auto* all = [] {
		auto* v = new std::vector<Injection>;
		const char* text = getenv("EMU_FAULT"); // NAME:NTH:CODE,...
		std::string rest = text ? text : "";
		while (!rest.empty()) {
			size_t comma = rest.find(',');
			std::string one = rest.substr(0, comma);
			rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
			size_t a = one.find(':'), b = one.find(':', a + 1);
			if (a == std::string::npos || b == std::string::npos) continue;
			v->push_back({one.substr(0, a), strtoull(one.c_str() + a + 1, nullptr, 10), Code(atoi(one.c_str() + b + 1))});
		}
		return v;
	}();
	return *all;
}

Code injected(const std::string& name) {
	auto& all = injections();
	for (size_t i = 0; i < all.size(); i++) {
		if (all[i].name != name && all[i].name != "*") continue;
		if (--all[i].left) continue;
		Code code = all[i].code;
		all.erase(all.begin() + long(i));
		return code;
	}
	return SUCCESS;
}

static std::string json(const std::map<std::string, uint64_t>& m) {
	std::string s = "{";
	for (auto& [name, n] : m) s += (s.size() > 1 ? ",\"" : "\"") + name + "\":" + std::to_string(n);
	return s + "}";
}

static std::string json(const Device& d) {
	const Counters& c = d.counters;
	const std::pair<const char*, uint64_t> numbers[] = {
		{"direct_launches", c.direct_launches},
		{"graph_launches", c.graph_launches},
		{"copies_in", c.copies_in},
		{"bytes_in", c.bytes_in},
		{"copies_out", c.copies_out},
		{"bytes_out", c.bytes_out},
		{"copies_within", c.copies_within},
		{"bytes_within", c.bytes_within},
		{"fills", c.fills},
		{"allocations", c.allocations},
		{"frees", c.frees},
		{"syncs", c.syncs},
		{"used", d.used},
		{"peak", d.peak},
	};
	std::string s = "{\"launches\":" + json(c.launches) + ",\"calls\":" + json(c.calls);
	for (auto& [name, n] : numbers) s += std::string(",\"") + name + "\":" + std::to_string(n);
	return s + "}";
}

} // namespace fake

using namespace fake;

// emu_counters writes a JSON list with an object a device and returns its length,
// which may be more than size: then nothing was written.
API size_t emu_counters(char* to, size_t size) {
	Lock lock(state().mutex);
	std::string s = "[";
	for (auto& d : state().devices) s += (s.size() > 1 ? "," : "") + json(*d);
	s += "]";
	if (s.size() < size) memcpy(to, s.c_str(), s.size() + 1);
	return s.size();
}

// emu_reset sets all counters to zero and forgets the injections.
API void emu_reset() {
	Lock lock(state().mutex);
	for (auto& d : state().devices) {
		d->counters = {};
		d->peak = d->used;
	}
	injections().clear();
}

// emu_set_order sets the order for the launches from here on; 0 where it is none.
API int emu_set_order(const char* text) {
	Lock lock(state().mutex);
	return emu::parse_order(text, &state().order);
}

// emu_fault makes the nth call (1 is the next) of a kernel, of a library's function
// or of cuMemAlloc fail with a code; "*" is whatever comes.
API void emu_fault(const char* name, uint64_t nth, int code) {
	Lock lock(state().mutex);
	if (nth) injections().push_back({name, nth, Code(code)});
}
