// What every kernel includes: under nvcc the CUDA headers and the PTX instructions
// as inline functions, otherwise the emulator's twins of the same names. Kernels
// write no PTX of their own and declare shared memory only by SHARED and DYN_SMEM.
#pragma once

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>

// SHARED(T, name, n) is the array T name[n] in a block's shared memory; DYN_SMEM(T,
// name) the launch's dynamic shared memory as a T*, aligned to 128 bytes. Neither
// is initialised.
#define SHARED(T, name, n) __shared__ __align__(16) T name[n]
#define DYN_SMEM(T, name) \
	extern __shared__ __align__(128) unsigned char name##_bytes[]; \
	T* name = reinterpret_cast<T*>(name##_bytes)

// EXPORT_KERNEL(name) stands behind every extern "C" kernel.
#define EXPORT_KERNEL(name)

// d += a*b for the tile m16n8k16, fragments as in the PTX ISA (the twin in
// kernels/emu/device/ptx.h draws them). All 32 lanes take part.
__device__ __forceinline__ void mma_bf16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	             : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
	             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_f16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	             : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
	             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// shared_address turns a pointer into shared memory into what PTX takes.
__device__ __forceinline__ uint32_t shared_address(const void* p) {
	return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// ldmatrix: lanes 8i..8i+7 point at the rows of 8x8 matrix i (16 bytes each, aligned);
// lane l gets elements 2(l%4) and 2(l%4)+1 of row l/4 of each, of column l/4 with _trans.
__device__ __forceinline__ void ldmatrix_x1(uint32_t (&r)[1], const void* row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_x2(uint32_t (&r)[2], const void* row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
	             : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
	             : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_x1_trans(uint32_t (&r)[1], const void* row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
	             : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
	             : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}

// cp.async copies from global to shared memory in the background; addresses are
// aligned to the size. Where not valid it writes zeros and reads nothing. Copies
// since the last commit are a group; cp_async_wait<N> waits for all but the newest N
// groups of this thread. Other threads see them after a barrier.
__device__ __forceinline__ void cp_async16(void* smem, const void* gmem, bool valid = true) {
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(smem)), "l"(gmem), "r"(valid ? 16 : 0) : "memory");
}
__device__ __forceinline__ void cp_async8(void* smem, const void* gmem, bool valid = true) {
	asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(smem)), "l"(gmem), "r"(valid ? 8 : 0) : "memory");
}
__device__ __forceinline__ void cp_async4(void* smem, const void* gmem, bool valid = true) {
	asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(smem)), "l"(gmem), "r"(valid ? 4 : 0) : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> __device__ __forceinline__ void cp_async_wait() {
	asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// ld_stream16 reads 16 bytes that are used once: they do not stay in the caches.
__device__ __forceinline__ uint4 ld_stream16(const void* p) {
	uint4 v;
	asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
	return v;
}

// lop3: bit 4a+2b+c of the table is the result for bits a, b, c.
template <unsigned table> __device__ __forceinline__ uint32_t lop3(uint32_t a, uint32_t b, uint32_t c) {
	uint32_t r;
	asm("lop3.b32 %0, %1, %2, %3, %4;" : "=r"(r) : "r"(a), "r"(b), "r"(c), "n"(table));
	return r;
}
__device__ __forceinline__ uint32_t prmt(uint32_t a, uint32_t b, uint32_t selector) { return __byte_perm(a, b, selector); }

// ex2f is 2^x to the precision of the special function unit.
__device__ __forceinline__ float ex2f(float x) {
	float r;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
	return r;
}

// e4m3 (OCP FP8), saturating at 448.
__device__ __forceinline__ float e4m3_to_float(uint8_t v) {
	return __half2float(__half(__nv_cvt_fp8_to_halfraw(v, __NV_E4M3)));
}
__device__ __forceinline__ uint8_t float_to_e4m3(float f) { return __nv_cvt_float_to_fp8(f, __NV_SATFINITE, __NV_E4M3); }

#else
#include "../emu/cuda_emu.h"
#endif

typedef __nv_bfloat16 bf16;
typedef __nv_bfloat162 bf162;

__device__ __forceinline__ float to_float(float v) { return v; }
__device__ __forceinline__ float to_float(bf16 v) { return __bfloat162float(v); }
__device__ __forceinline__ float to_float(half v) { return __half2float(v); }
template <class T> __device__ __forceinline__ T from_float(float v);
template <> __device__ __forceinline__ float from_float<float>(float v) { return v; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float v) { return __float2bfloat16(v); }
template <> __device__ __forceinline__ half from_float<half>(float v) { return __float2half(v); }

// pack_bf16 puts two floats into one word, a in the low half.
__device__ __forceinline__ uint32_t pack_bf16(float a, float b) {
	return uint32_t(__bfloat16_as_ushort(__float2bfloat16(b))) << 16 | __bfloat16_as_ushort(__float2bfloat16(a));
}
// bf16_low and bf16_high take them apart.
__device__ __forceinline__ float bf16_low(uint32_t v) { return __uint_as_float(v << 16); }
__device__ __forceinline__ float bf16_high(uint32_t v) { return __uint_as_float(v & 0xFFFF0000u); }

// The sum and the maximum over all 32 lanes, in every lane.
__device__ __forceinline__ float warp_sum(float v) {
	for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xFFFFFFFFu, v, o);
	return v;
}
__device__ __forceinline__ float warp_max(float v) {
	for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(0xFFFFFFFFu, v, o));
	return v;
}

// The sum and the maximum over a block, in every thread. blockDim.x is a multiple
// of 32, the block has one dimension, and all of its threads call.
__device__ __forceinline__ float block_sum(float v) {
	SHARED(float, partial, 32);
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
	v = warp_sum(v);
	if (lane == 0) partial[warp] = v;
	__syncthreads();
	v = warp_sum(lane < warps ? partial[lane] : 0.0f);
	__syncthreads(); // partial may be written again
	return v;
}
__device__ __forceinline__ float block_max(float v) {
	SHARED(float, partial, 32);
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
	v = warp_max(v);
	if (lane == 0) partial[warp] = v;
	__syncthreads();
	v = warp_max(partial[lane < warps ? lane : 0]);
	__syncthreads();
	return v;
}
