/*
 * Found before the toolkit's cuda.h. CUDA 13 gave five names new signatures;
 * gorgonia.org/cu is written against the ones before. Every driver still exports
 * the old entry points, so the names are bound to those again.
 */
#ifndef REASOND_COMPAT_CUDA_H
#define REASOND_COMPAT_CUDA_H

#include_next <cuda.h>

#if CUDA_VERSION >= 13000

#undef cuCtxCreate
#undef cuGraphAddDependencies
#undef cuGraphGetEdges
#undef cuMemAdvise
#undef cuMemPrefetchAsync

#ifdef __cplusplus
extern "C" {
#endif
CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device);
#define cuCtxCreate cuCtxCreate_v2
CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count);
CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count);
CUresult cuMemAdvise(CUdeviceptr ptr, size_t bytes, CUmem_advise advice, CUdevice device);
CUresult cuMemPrefetchAsync(CUdeviceptr ptr, size_t bytes, CUdevice device, CUstream stream);
#ifdef __cplusplus
}
#endif

#endif
#endif
