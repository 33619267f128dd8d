//go:build cuda && cgo && linux

#include "launch.h"

CUresult reasond_launch_all(reasond_launches *list, CUstream stream)
{
	for (size_t i = 0; i < list->count; i++) {
		const reasond_launch *l = &list->launch[i];
		CUresult code = cuLaunchKernel(l->fn, l->grid[0], l->grid[1], l->grid[2], l->block[0],
		                               l->block[1], l->block[2], l->shared, stream, l->params, NULL);
		if (code != CUDA_SUCCESS) {
			list->failed = i;
			return code;
		}
	}
	return CUDA_SUCCESS;
}
