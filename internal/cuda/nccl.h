#ifndef REASOND_NCCL_H
#define REASOND_NCCL_H

// What is used of NCCL 2; its header is not needed. Every function gives a
// ncclResult_t, an int, but for the two that give texts:
//
//   ncclGetVersion(int*)                     const char *ncclGetErrorString(result)
//   const char *ncclGetLastError(comm)       (2.13 and newer; optional)
//   ncclGetUniqueId(ncclUniqueId*)           a struct of 128 bytes
//   ncclCommInitRank(comm*, int ranks, ncclUniqueId by value, int rank)
//   ncclCommDestroy(comm)                    ncclCommAbort(comm)
//   ncclCommGetAsyncError(comm, result*)
//   ncclAllReduce(send, recv, size_t count, type, op, comm, stream)
//   ncclAllGather(send, recv, size_t sendcount, type, comm, stream)

#include <stddef.h>
#include <stdint.h>

enum { NCCL_FLOAT32 = 7, NCCL_BFLOAT16 = 9, NCCL_SUM = 0 };

typedef struct {
	char internal[128];
} nccl_id;

// reasond_nccl is the library's functions.
typedef struct reasond_nccl {
	int (*version)(int *);
	const char *(*text)(int);
	const char *(*last)(void *); // may be 0
	int (*unique)(nccl_id *);
	int (*init)(void **, int, nccl_id, int);
	int (*destroy)(void *);
	int (*abort)(void *);
	int (*async_error)(void *, int *);
	int (*all_reduce)(const void *, void *, size_t, int, int, void *, void *);
	int (*all_gather)(const void *, void *, size_t, int, void *, void *);
} reasond_nccl;

// reasond_nccl_new takes the functions from a loaded library; 0: *missing is the
// name of one that it lacks.
reasond_nccl *reasond_nccl_new(void *lib, const char **missing);

int reasond_nccl_version(const reasond_nccl *n);
int reasond_nccl_unique(const reasond_nccl *n, nccl_id *id);
int reasond_nccl_init(const reasond_nccl *n, void **comm, int ranks, const nccl_id *id, int rank);
int reasond_nccl_destroy(const reasond_nccl *n, void *comm);
int reasond_nccl_abort(const reasond_nccl *n, void *comm);
int reasond_nccl_async(const reasond_nccl *n, void *comm);
int reasond_nccl_reduce(const reasond_nccl *n, void *comm, uint64_t send, uint64_t recv,
                        size_t count, int type, uintptr_t stream);
int reasond_nccl_gather(const reasond_nccl *n, void *comm, uint64_t send, uint64_t recv,
                        size_t count, int type, uintptr_t stream);
const char *reasond_nccl_text(const reasond_nccl *n, void *comm, int code);

#endif
