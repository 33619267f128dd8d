// The CUDA language: keywords, built-in variables, vector types.
#pragma once
#include <cstdint>

#include "../exec/executor.h"

#define CUDA_EMU 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __constant__ static
#define __align__(n) alignas(n)
#define __grid_constant__
// A plain __shared__ has no per-block memory here: use SHARED or DYN_SMEM.
#define __shared__ static_assert(false, "declare shared memory by SHARED(T, name, n) or DYN_SMEM(T, name)");

#define threadIdx (emu::self->idx)
#define blockIdx (emu::block_id)
#define blockDim (emu::block_dim)
#define gridDim (emu::grid_dim)
#define warpSize 32

// SHARED(T, name, n) is the array T name[n] in a block's shared memory.
#define SHARED(T, name, n) \
	static emu::SharedKey name##_key; \
	T(&name)[n] = *reinterpret_cast<T(*)[n]>(emu::shared_array(name##_key, sizeof(T) * (n), alignof(T) < 16 ? 16 : alignof(T), #name))

// DYN_SMEM(T, name) is the dynamic shared memory of the launch, as a T*.
#define DYN_SMEM(T, name) T* name = static_cast<T*>(emu::shared_dynamic())

using dim3 = emu::Dim;
using cudaStream_t = void*;

#define EMU_VECTORS(T, base) \
	struct T##2 { base x, y; }; \
	struct T##3 { base x, y, z; }; \
	struct alignas(sizeof(base) == 8 ? 16 : 4 * sizeof(base)) T##4 { base x, y, z, w; }; \
	static inline T##2 make_##T##2(base x, base y) { return {x, y}; } \
	static inline T##3 make_##T##3(base x, base y, base z) { return {x, y, z}; } \
	static inline T##4 make_##T##4(base x, base y, base z, base w) { return {x, y, z, w}; }
EMU_VECTORS(float, float)
EMU_VECTORS(int, int32_t)
EMU_VECTORS(uint, uint32_t)
EMU_VECTORS(short, int16_t)
EMU_VECTORS(ushort, uint16_t)
EMU_VECTORS(char, int8_t)
EMU_VECTORS(uchar, uint8_t)
#undef EMU_VECTORS
struct alignas(16) longlong2 { long long x, y; };
struct alignas(16) ulonglong2 { unsigned long long x, y; };
struct alignas(16) double2 { double x, y; };
static inline double2 make_double2(double x, double y) { return {x, y}; }

// Barriers of the block, and fences: one OS thread runs a device, so that all
// memory is in order anyway.
static inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
	emu::block_barrier(false, {file, line});
}
static inline int __syncthreads_count(int p, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
	return int(emu::block_barrier(p != 0, {file, line}));
}
static inline int __syncthreads_or(int p, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
	return emu::block_barrier(p != 0, {file, line}) != 0;
}
static inline int __syncthreads_and(int p, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
	return emu::block_barrier(p == 0, {file, line}) == 0;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}

// Loads and stores with a cache hint.
template <class T> static inline T __ldg(const T* p) { return *p; }
template <class T> static inline T __ldcs(const T* p) { return *p; }
template <class T> static inline T __ldcg(const T* p) { return *p; }
template <class T> static inline T __ldca(const T* p) { return *p; }
template <class T> static inline T __ldlu(const T* p) { return *p; }
template <class T> static inline T __ldcv(const T* p) { return *const_cast<const volatile T*>(p); }
template <class T> static inline void __stcs(T* p, T v) { *p = v; }
template <class T> static inline void __stcg(T* p, T v) { *p = v; }
template <class T> static inline void __stwt(T* p, T v) { *p = v; }

static inline void __nanosleep(unsigned) {}
static inline long long clock64() {
	static thread_local long long ticks;
	return ++ticks;
}
static inline void __trap() { emu::fail(emu::Fault::instruction, "__trap"); }
