//go:build cuda && cgo && linux

#include "lazy.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

enum { SUCCESS = 0, NOT_INITIALIZED = 3, NOT_FOUND = 500, NOT_SUPPORTED = 801 };

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(void *) driver; // set once, when the driver has started

void *reasond_dl_open(const char *path, char *why, size_t size)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		snprintf(why, size, "%s", dlerror());
	return lib;
}

int reasond_driver_open(const char *path, char *why, size_t size)
{
	int code = SUCCESS;
	pthread_mutex_lock(&opening);
	if (!atomic_load(&driver)) {
		void *lib = reasond_dl_open(path && *path ? path : "libcuda.so.1", why, size);
		if (!lib) {
			code = -1;
		} else {
			reasond_driver_call init = (reasond_driver_call)dlsym(lib, "cuInit");
			code = init ? init(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) : NOT_FOUND;
			if (code == SUCCESS)
				atomic_store(&driver, lib);
		}
	}
	pthread_mutex_unlock(&opening);
	return code;
}

reasond_driver_call reasond_driver_find(_Atomic(reasond_driver_call) *slot, const char *name,
                                        const char *alias, int *why)
{
	reasond_driver_call found = atomic_load_explicit(slot, memory_order_acquire);
	if (found)
		return found;
	void *lib = atomic_load(&driver);
	if (!lib) {
		*why = NOT_INITIALIZED;
		return 0;
	}
	found = (reasond_driver_call)dlsym(lib, name);
	if (!found && alias)
		found = (reasond_driver_call)dlsym(lib, alias);
	if (!found) {
		*why = NOT_FOUND;
		return 0;
	}
	atomic_store_explicit(slot, found, memory_order_release);
	return found;
}

// gorgonia.org/cu calls cuInit before main and ends the process when it fails;
// the driver is started by reasond_driver_open alone.
int cuInit(unsigned flags)
{
	(void)flags;
	return SUCCESS;
}

// Without a driver there are no devices, and that is no error.

static int ask(const char *name, int *value)
{
	void *lib = atomic_load(&driver);
	*value = 0;
	if (!lib)
		return SUCCESS;
	reasond_driver_call call = (reasond_driver_call)dlsym(lib, name);
	return call ? call((word)value, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) : NOT_FOUND;
}

int cuDeviceGetCount(int *count) { return ask("cuDeviceGetCount", count); }
int cuDriverGetVersion(int *version) { return ask("cuDriverGetVersion", version); }

// These take floats by value, which words do not carry. Nothing here calls them.

int cuTexRefSetMipmapLevelBias(void *texture, float bias)
{
	(void)texture, (void)bias;
	return NOT_SUPPORTED;
}

int cuTexRefSetMipmapLevelClamp(void *texture, float least, float most)
{
	(void)texture, (void)least, (void)most;
	return NOT_SUPPORTED;
}
