// Atomics. One OS thread runs all of a device's kernels and a fiber is never
// interrupted: a plain read, change and write is atomic.
#pragma once
#include "language.h"

namespace emu {
template <class T, class F> static inline T exchange(T* p, F change) {
	T old = *p;
	*p = change(old);
	return old;
}
template <class T> struct Same { using type = T; };
template <class T> using same = typename Same<T>::type; // the argument does not decide T
} // namespace emu

template <class T> static inline T atomicAdd(T* p, emu::same<T> v) { return emu::exchange(p, [&](T o) { return T(o + v); }); }
template <class T> static inline T atomicSub(T* p, emu::same<T> v) { return emu::exchange(p, [&](T o) { return T(o - v); }); }
template <class T> static inline T atomicMax(T* p, emu::same<T> v) { return emu::exchange(p, [&](T o) { return o < v ? v : o; }); }
template <class T> static inline T atomicMin(T* p, emu::same<T> v) { return emu::exchange(p, [&](T o) { return v < o ? v : o; }); }
template <class T> static inline T atomicAnd(T* p, emu::same<T> v) { return emu::exchange(p, [&](T o) { return T(o & v); }); }
template <class T> static inline T atomicOr(T* p, emu::same<T> v) { return emu::exchange(p, [&](T o) { return T(o | v); }); }
template <class T> static inline T atomicXor(T* p, emu::same<T> v) { return emu::exchange(p, [&](T o) { return T(o ^ v); }); }
template <class T> static inline T atomicExch(T* p, emu::same<T> v) { return emu::exchange(p, [&](T) { return v; }); }
template <class T> static inline T atomicCAS(T* p, emu::same<T> expect, emu::same<T> v) {
	return emu::exchange(p, [&](T o) { return o == expect ? v : o; });
}
// Counts up to limit and starts at zero again; and down from it.
static inline unsigned atomicInc(unsigned* p, unsigned limit) {
	return emu::exchange(p, [&](unsigned o) { return o >= limit ? 0 : o + 1; });
}
static inline unsigned atomicDec(unsigned* p, unsigned limit) {
	return emu::exchange(p, [&](unsigned o) { return o == 0 || o > limit ? limit : o - 1; });
}
