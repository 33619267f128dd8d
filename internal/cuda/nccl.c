//go:build cuda && cgo && linux

#include "nccl.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

reasond_nccl *reasond_nccl_new(void *lib, const char **missing)
{
	reasond_nccl *n = calloc(1, sizeof *n);
	const struct {
		const char *name;
		void *to;
	} symbols[] = {
	        {"ncclGetVersion", &n->version},
	        {"ncclGetErrorString", &n->text},
	        {"ncclGetUniqueId", &n->unique},
	        {"ncclCommInitRank", &n->init},
	        {"ncclCommDestroy", &n->destroy},
	        {"ncclCommAbort", &n->abort},
	        {"ncclCommGetAsyncError", &n->async_error},
	        {"ncclAllReduce", &n->all_reduce},
	        {"ncclAllGather", &n->all_gather},
	};
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *found = dlsym(lib, symbols[i].name);
		if (!found) {
			*missing = symbols[i].name;
			free(n);
			return 0;
		}
		memcpy(symbols[i].to, &found, sizeof found);
	}
	n->last = (const char *(*)(void *))dlsym(lib, "ncclGetLastError");
	return n;
}

int reasond_nccl_version(const reasond_nccl *n)
{
	int v = 0;
	return n->version(&v) ? 0 : v;
}

int reasond_nccl_unique(const reasond_nccl *n, nccl_id *id) { return n->unique(id); }

int reasond_nccl_init(const reasond_nccl *n, void **comm, int ranks, const nccl_id *id, int rank)
{
	return n->init(comm, ranks, *id, rank);
}

int reasond_nccl_destroy(const reasond_nccl *n, void *comm) { return n->destroy(comm); }

int reasond_nccl_abort(const reasond_nccl *n, void *comm) { return n->abort(comm); }

int reasond_nccl_async(const reasond_nccl *n, void *comm)
{
	int code = 0, failed = n->async_error(comm, &code);
	return failed ? failed : code;
}

int reasond_nccl_reduce(const reasond_nccl *n, void *comm, uint64_t send, uint64_t recv,
                        size_t count, int type, uintptr_t stream)
{
	return n->all_reduce((const void *)(uintptr_t)send, (void *)(uintptr_t)recv, count, type,
	                     NCCL_SUM, comm, (void *)stream);
}

int reasond_nccl_gather(const reasond_nccl *n, void *comm, uint64_t send, uint64_t recv,
                        size_t count, int type, uintptr_t stream)
{
	return n->all_gather((const void *)(uintptr_t)send, (void *)(uintptr_t)recv, count, type, comm,
	                     (void *)stream);
}

const char *reasond_nccl_text(const reasond_nccl *n, void *comm, int code)
{
	const char *last = comm && n->last ? n->last(comm) : 0;
	return last && *last ? last : n->text(code);
}
