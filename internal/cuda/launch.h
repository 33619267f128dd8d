#ifndef REASOND_LAUNCH_H
#define REASOND_LAUNCH_H

#include <cuda.h>
#include <stddef.h>

// reasond_launch is one kernel launch. params points to one address an argument,
// each of a word of which the driver reads as much as the parameter has.
typedef struct {
	CUfunction fn;
	unsigned grid[3], block[3];
	unsigned shared;
	void **params;
} reasond_launch;

// reasond_launches is a list of launches. All of it lies in one piece of memory.
typedef struct {
	size_t count;
	size_t failed; // the launch that the last run stopped at
	reasond_launch *launch;
} reasond_launches;

// reasond_launch_all enqueues the launches in order. It stops at the first that
// fails and gives its code.
CUresult reasond_launch_all(reasond_launches *list, CUstream stream);

#endif
