// Kernels broken on purpose, each beside its sound twin: the emulator must show
// what is wrong with them.
#include "../../cuda/common.cuh"

// out[i] = in[n-1-i] within a block of 256, through shared memory.
template <bool sound> __device__ void reverse(const float* in, float* out) {
	SHARED(float, tile, 256);
	int i = threadIdx.x, at = blockIdx.x * 256 + i;
	tile[i] = in[at];
	if (sound) __syncthreads();
	out[at] = tile[255 - i];
}
extern "C" __global__ void reverse_sound(const float* in, float* out) { reverse<true>(in, out); }
extern "C" __global__ void reverse_without_barrier(const float* in, float* out) { reverse<false>(in, out); }
EXPORT_KERNEL(reverse_sound)
EXPORT_KERNEL(reverse_without_barrier)

// out = in by cp.async, 4 floats a thread, 64 threads.
template <bool sound> __device__ void stage(const float* in, float* out) {
	DYN_SMEM(float, tile);
	int i = 4 * threadIdx.x;
	cp_async16(tile + i, in + i);
	cp_async_commit();
	if (sound) cp_async_wait<0>();
	for (int k = 0; k < 4; k++) out[i + k] = tile[i + k];
}
extern "C" __global__ void stage_sound(const float* in, float* out) { stage<true>(in, out); }
extern "C" __global__ void stage_without_wait(const float* in, float* out) { stage<false>(in, out); }
EXPORT_KERNEL(stage_sound)
EXPORT_KERNEL(stage_without_wait)

// *out = the sum of 64 numbers, added up in shared memory.
template <bool sound> __device__ void add_up(const float* in, float* out) {
	SHARED(float, total, 1);
	if (sound && threadIdx.x == 0) total[0] = 0;
	__syncthreads();
	atomicAdd(total, in[threadIdx.x]);
	__syncthreads();
	if (threadIdx.x == 0) *out = total[0];
}
extern "C" __global__ void add_up_sound(const float* in, float* out) { add_up<true>(in, out); }
extern "C" __global__ void add_up_uninitialised(const float* in, float* out) { add_up<false>(in, out); }
EXPORT_KERNEL(add_up_sound)
EXPORT_KERNEL(add_up_uninitialised)

// Global memory at an offset from p, written or read.
extern "C" __global__ void write_at(float* p, long long at) {
	if (threadIdx.x == 0) p[at] = 1;
}
extern "C" __global__ void read_at(const float* p, long long at, float* out) {
	if (threadIdx.x == 0) *out = p[at];
}
EXPORT_KERNEL(write_at)
EXPORT_KERNEL(read_at)

// A barrier for the first half of the block alone, in three ways.
extern "C" __global__ void barrier_then_return(float* out) {
	if (threadIdx.x < blockDim.x / 2) __syncthreads();
	out[threadIdx.x] = 1;
}
extern "C" __global__ void barriers_of_two_lines(float* out) {
	if (threadIdx.x < blockDim.x / 2)
		__syncthreads();
	else
		__syncthreads();
	out[threadIdx.x] = 1;
}
extern "C" __global__ void barrier_and_shuffle(float* out) {
	if (threadIdx.x < 16)
		__syncthreads();
	else
		out[threadIdx.x] = warp_sum(1);
}
EXPORT_KERNEL(barrier_then_return)
EXPORT_KERNEL(barriers_of_two_lines)
EXPORT_KERNEL(barrier_and_shuffle)

// Shared memory written past its end; more of it than there is.
extern "C" __global__ void past_shared(int n) {
	SHARED(float, small, 32);
	if (int(threadIdx.x) < n) small[threadIdx.x] = 1;
}
extern "C" __global__ void past_dynamic(int n) {
	DYN_SMEM(float, tile);
	if (int(threadIdx.x) < n) tile[threadIdx.x] = 1;
}
extern "C" __global__ void much_shared(float* out) {
	SHARED(float, big, 13 << 10);
	big[threadIdx.x] = 1;
	__syncthreads();
	out[threadIdx.x] = big[threadIdx.x];
}
EXPORT_KERNEL(past_shared)
EXPORT_KERNEL(past_dynamic)
EXPORT_KERNEL(much_shared)

// A collective by a lane outside of its mask; two collectives of one mask; a read
// from a lane that does not take part.
extern "C" __global__ void outside_mask(int* out) { out[threadIdx.x] = __shfl_sync(0xFFFF, 1, 0); }
extern "C" __global__ void mixed_collectives(int* out) {
	out[threadIdx.x] = threadIdx.x < 16 ? __shfl_sync(~0u, 1, 0) : int(__ballot_sync(~0u, 1));
}
extern "C" __global__ void shuffle_from_absent(float* out) {
	if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xFFFF, 1.0f, 20);
}
EXPORT_KERNEL(outside_mask)
EXPORT_KERNEL(mixed_collectives)
EXPORT_KERNEL(shuffle_from_absent)

// Warps pass data without a barrier; blocks add to what they read.
extern "C" __global__ void warps_pass(int* out) {
	SHARED(int, box, 2);
	int warp = threadIdx.x / 32;
	if (threadIdx.x % 32 == 0) box[warp] = warp;
	__syncwarp();
	out[threadIdx.x] = box[1 - warp];
}
extern "C" __global__ void block_order(int* next, int* out) {
	if (threadIdx.x == 0) out[atomicAdd(next, 1)] = blockIdx.x;
}
extern "C" __global__ void deep(int* out) {
	volatile char big[128 << 10];
	for (int i = 0; i < int(sizeof big); i += 512) big[i] = char(i);
	out[0] = big[0];
}
extern "C" __global__ void divide(int* out, int by) { out[0] = 100 / by; }
EXPORT_KERNEL(warps_pass)
EXPORT_KERNEL(block_order)
EXPORT_KERNEL(deep)
EXPORT_KERNEL(divide)
