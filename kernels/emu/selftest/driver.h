// The entry points of the fake libraries that the tests call, as their users see
// them.
#pragma once
#include <cstddef>
#include <cstdint>

using Ptr = uintptr_t;

extern "C" {
int cuInit(unsigned);
int cuDeviceGetCount(int*);
int cuDevicePrimaryCtxRetain(void**, int);
int cuDevicePrimaryCtxRelease_v2(int);
int cuDevicePrimaryCtxReset_v2(int);
int cuCtxSetCurrent(void*);
int cuCtxSynchronize();
int cuMemAlloc_v2(Ptr*, size_t);
int cuMemFree_v2(Ptr);
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoD_v2(Ptr, const void*, size_t);
int cuMemcpyDtoH_v2(void*, Ptr, size_t);
int cuMemcpyHtoDAsync_v2(Ptr, const void*, size_t, void*);
int cuMemcpyDtoHAsync_v2(void*, Ptr, size_t, void*);
int cuMemcpyDtoDAsync_v2(Ptr, Ptr, size_t, void*);
int cuMemsetD8Async(Ptr, uint8_t, size_t, void*);
int cuMemsetD32Async(Ptr, uint32_t, size_t, void*);
int cuModuleLoadData(void**, const void*);
int cuModuleGetFunction(void**, void*, const char*);
int cuFuncSetAttribute(void*, int, int);
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
int cuStreamCreate(void**, unsigned);
int cuStreamDestroy_v2(void*);
int cuStreamSynchronize(void*);
int cuStreamQuery(void*);
int cuStreamWaitEvent(void*, void*, unsigned);
int cuStreamBeginCapture_v2(void*, int);
int cuStreamEndCapture(void*, void**);
int cuEventCreate(void**, unsigned);
int cuEventDestroy_v2(void*);
int cuEventRecord(void*, void*);
int cuEventSynchronize(void*);
int cuEventQuery(void*);
int cuEventElapsedTime(float*, void*, void*);
int cuGraphInstantiateWithFlags(void**, void*, unsigned long long);
int cuGraphExecUpdate_v2(void*, void*, void*);
int cuGraphLaunch(void*, void*);
int cuGraphDestroy(void*);
int cuGraphExecDestroy(void*);
int cuCtxEnablePeerAccess(void*, unsigned);
int cuGetErrorName(int, const char**);
int cuGetErrorString(int, const char**);

size_t emu_counters(char*, size_t);
void emu_reset();
int emu_set_order(const char*);
void emu_fault(const char*, uint64_t, int);
}

#define OK(call) \
	do { \
		int code_ = (call); \
		CHECK(code_ == 0, "= %d", code_); \
	} while (0)
