// Warp collectives. Each is written as its lanes' arguments and the function that
// the last lane to come runs for all: right for any set of diverged masks. What a
// lane reads of one that does not take part is poison (0xFF bytes).
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "language.h"

namespace emu {

template <class Args, class F> static inline void for_present(uint32_t present, void* const* args, F f) {
	for (uint32_t m = present; m; m &= m - 1) {
		int lane = __builtin_ctz(m);
		f(lane, *static_cast<Args*>(args[lane]));
	}
}

template <class T> struct Shuffle {
	T in, out;
	unsigned source;

	static void finish(uint32_t present, void* const* args) {
		for_present<Shuffle>(present, args, [&](int, Shuffle& a) {
			if (present >> a.source & 1)
				memcpy(&a.out, &static_cast<Shuffle*>(args[a.source])->in, sizeof(T));
			else
				memset(static_cast<void*>(&a.out), 0xFF, sizeof(T));
		});
	}
};

template <class T> static inline T shuffle(uint32_t mask, T v, unsigned source) {
	static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
	Shuffle<T> args{v, v, source & 31};
	collective(mask, "shuffle", &args, Shuffle<T>::finish);
	return args.out;
}

struct Vote {
	uint32_t in, out;

	static void ballot(uint32_t present, void* const* args) {
		uint32_t r = 0;
		for_present<Vote>(present, args, [&](int lane, Vote& a) { r |= uint32_t(a.in != 0) << lane; });
		for_present<Vote>(present, args, [&](int, Vote& a) { a.out = r; });
	}
	static void match(uint32_t present, void* const* args) {
		for_present<Vote>(present, args, [&](int, Vote& a) {
			uint32_t r = 0;
			for_present<Vote>(present, args, [&](int lane, Vote& b) { r |= uint32_t(a.in == b.in) << lane; });
			a.out = r;
		});
	}
};

template <class T, class Op> struct Reduce {
	T value;

	static void finish(uint32_t present, void* const* args) {
		T r = static_cast<Reduce*>(args[__builtin_ctz(present)])->value;
		for_present<Reduce>(present & (present - 1), args, [&](int, Reduce& a) { r = Op()(r, a.value); });
		for_present<Reduce>(present, args, [&](int, Reduce& a) { a.value = r; });
	}
};

template <class Op, class T> static inline T reduce(uint32_t mask, T v) {
	Reduce<T, Op> args{v};
	collective(mask, "reduce", &args, Reduce<T, Op>::finish);
	return args.value;
}

} // namespace emu

static inline void __syncwarp(unsigned mask = ~0u) {
	emu::collective(mask, "syncwarp", nullptr, [](uint32_t, void* const*) {});
}
static inline unsigned __activemask() { // what a compiler may assume: the caller alone
	return 1u << emu::self->lane;
}

// The lane to read from stays within segments of width lanes.
template <class T> static inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32) {
	return emu::shuffle(mask, v, (emu::self->lane & ~unsigned(width - 1)) | (unsigned(lane) & unsigned(width - 1)));
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T v, int x, int width = 32) {
	unsigned lane = emu::self->lane, from = lane ^ unsigned(x);
	return emu::shuffle(mask, v, from <= (lane | unsigned(width - 1)) ? from : lane);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned d, int width = 32) {
	unsigned lane = emu::self->lane;
	return emu::shuffle(mask, v, (lane & unsigned(width - 1)) + d < unsigned(width) ? lane + d : lane);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned d, int width = 32) {
	unsigned lane = emu::self->lane;
	return emu::shuffle(mask, v, (lane & unsigned(width - 1)) >= d ? lane - d : lane);
}

static inline unsigned __ballot_sync(unsigned mask, int p) {
	emu::Vote args{uint32_t(p != 0), 0};
	emu::collective(mask, "ballot", &args, emu::Vote::ballot);
	return args.out;
}
static inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
static inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }
template <class T> static inline unsigned __match_any_sync(unsigned mask, T v) {
	static_assert(sizeof(T) == 4);
	emu::Vote args{0, 0};
	memcpy(&args.in, &v, 4);
	emu::collective(mask, "match", &args, emu::Vote::match);
	return args.out;
}

namespace emu {
struct Add { template <class T> T operator()(T a, T b) const { return a + b; } };
struct Min { template <class T> T operator()(T a, T b) const { return a < b ? a : b; } };
struct Max { template <class T> T operator()(T a, T b) const { return a < b ? b : a; } };
struct And { template <class T> T operator()(T a, T b) const { return a & b; } };
struct Or { template <class T> T operator()(T a, T b) const { return a | b; } };
struct Xor { template <class T> T operator()(T a, T b) const { return a ^ b; } };
} // namespace emu

static inline unsigned __reduce_add_sync(unsigned mask, unsigned v) { return emu::reduce<emu::Add>(mask, v); }
static inline unsigned __reduce_min_sync(unsigned mask, unsigned v) { return emu::reduce<emu::Min>(mask, v); }
static inline unsigned __reduce_max_sync(unsigned mask, unsigned v) { return emu::reduce<emu::Max>(mask, v); }
static inline int __reduce_add_sync(unsigned mask, int v) { return emu::reduce<emu::Add>(mask, v); }
static inline int __reduce_min_sync(unsigned mask, int v) { return emu::reduce<emu::Min>(mask, v); }
static inline int __reduce_max_sync(unsigned mask, int v) { return emu::reduce<emu::Max>(mask, v); }
static inline unsigned __reduce_and_sync(unsigned mask, unsigned v) { return emu::reduce<emu::And>(mask, v); }
static inline unsigned __reduce_or_sync(unsigned mask, unsigned v) { return emu::reduce<emu::Or>(mask, v); }
static inline unsigned __reduce_xor_sync(unsigned mask, unsigned v) { return emu::reduce<emu::Xor>(mask, v); }
