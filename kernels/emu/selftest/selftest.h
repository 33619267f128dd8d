// A test is TEST(name) { ... }; CHECK records what does not hold. main runs all, or
// those whose names contain its argument.
#pragma once
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

struct Case {
	const char* name;
	void (*run)();
};
std::vector<Case>& cases();
extern std::atomic<int> failures;

struct Register {
	Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

#define TEST(name) \
	static void name(); \
	static Register register_##name(#name, name); \
	static void name()

#define CHECK(cond, ...) \
	do { \
		if (!(cond)) { \
			failures++; \
			fprintf(stderr, "%s:%d: %s", __FILE__, __LINE__, #cond); \
			fprintf(stderr, " " __VA_ARGS__); \
			fprintf(stderr, "\n"); \
		} \
	} while (0)

inline bool contains(const std::string& s, const char* part) { return s.find(part) != std::string::npos; }
