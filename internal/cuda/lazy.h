#ifndef REASOND_LAZY_H
#define REASOND_LAZY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef uintptr_t word;
typedef int (*reasond_driver_call)(word, word, word, word, word, word, word, word, word, word, word);

// reasond_driver_open loads the driver from path ("": libcuda.so.1) and starts it.
// It gives cuInit's result, or -1 where there is no such library: then why has the
// loader's words. Once it has succeeded it does nothing more and gives 0.
int reasond_driver_open(const char *path, char *why, size_t size);

// reasond_driver_find is the driver's function of that name, or of the alias where
// the driver is older than the name; 0 and the code that the caller shall see
// where there is none.
reasond_driver_call reasond_driver_find(_Atomic(reasond_driver_call) *slot, const char *name,
                                        const char *alias, int *why);

// reasond_dl_open is dlopen of one library with its own scope; why as above.
void *reasond_dl_open(const char *path, char *why, size_t size);

#endif
