// Eight consecutive elements of a row, of either type of a buffer, as floats: one or
// two loads of 16 bytes. Rows whose width is no multiple of eight are read and
// written element by element; `whole` says which, for all of a kernel.
#pragma once
#include "batch.cuh"
#include "common.cuh"

__device__ __forceinline__ void load8(float (&v)[8], const float* p) {
	float4 a = reinterpret_cast<const float4*>(p)[0], b = reinterpret_cast<const float4*>(p)[1];
	v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}
__device__ __forceinline__ void load8(float (&v)[8], const bf16* p) {
	uint4 a = *reinterpret_cast<const uint4*>(p);
	v[0] = bf16_low(a.x), v[1] = bf16_high(a.x), v[2] = bf16_low(a.y), v[3] = bf16_high(a.y);
	v[4] = bf16_low(a.z), v[5] = bf16_high(a.z), v[6] = bf16_low(a.w), v[7] = bf16_high(a.w);
}
__device__ __forceinline__ void store8(float* p, const float (&v)[8]) {
	reinterpret_cast<float4*>(p)[0] = make_float4(v[0], v[1], v[2], v[3]);
	reinterpret_cast<float4*>(p)[1] = make_float4(v[4], v[5], v[6], v[7]);
}
__device__ __forceinline__ void store8(bf16* p, const float (&v)[8]) {
	*reinterpret_cast<uint4*>(p) =
		make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
}

// load8 and store8 at element i of a row of n elements; what lies behind the row
// reads as zero and is not written.
template <class T> __device__ __forceinline__ void load8(float (&v)[8], const T* row, int i, int n, bool whole) {
	if (whole) {
		load8(v, row + i);
	} else {
		for (int j = 0; j < 8; j++) v[j] = i + j < n ? to_float(row[i + j]) : 0.0f;
	}
}
template <class T> __device__ __forceinline__ void store8(T* row, const float (&v)[8], int i, int n, bool whole) {
	if (whole) {
		store8(row + i, v);
	} else {
		for (int j = 0; j < 8 && i + j < n; j++) row[i + j] = from_float<T>(v[j]);
	}
}
