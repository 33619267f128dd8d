package native

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static void trim(void) {
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
*/
import "C"

// Trim gives memory that the library has freed back to the system, where the C
// library keeps it: a vocabulary leaves some behind when it is loaded.
func Trim() { C.trim() }
