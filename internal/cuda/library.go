//go:build cuda && cgo && linux

package cuda

// #include <stdlib.h>
// #include "lazy.h"
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"
)

// openLibrary loads the first of the libraries that the loader finds and returns
// its handle, which is kept for the process's life. A path that was asked for is
// the only one tried. The error wraps missing.
func openLibrary(path string, names []string, missing error) (unsafe.Pointer, string, error) {
	tries := names
	if path != "" {
		tries = []string{path}
	} else {
		for _, name := range names {
			tries = append(tries, besides(name)...)
		}
	}
	why := (*C.char)(C.calloc(1, reasonSize))
	defer C.free(unsafe.Pointer(why))
	first := ""
	for _, try := range tries {
		p := C.CString(try)
		lib := C.reasond_dl_open(p, why, reasonSize)
		C.free(unsafe.Pointer(p))
		if lib != nil {
			return lib, try, nil
		}
		if first == "" {
			first = C.GoString(why)
		}
	}
	return nil, "", fmt.Errorf("%w (%s)", missing, first)
}

// besides is where libraries lie that the loader does not look in: an installed
// toolkit, and the folders of Python's packages below the usual prefixes.
func besides(name string) []string {
	var found []string
	for _, pattern := range []string{
		"/usr/local/cuda/lib64",
		"/usr/local/cuda-1[23]*/lib64",
		"/usr/lib/python3*/*-packages/nvidia/*/lib",
		"/usr/local/lib/python3*/*-packages/nvidia/*/lib",
		"/opt/*/lib/python3*/site-packages/nvidia/*/lib",
	} {
		matches, _ := filepath.Glob(filepath.Join(pattern, name)) // the patterns are sound
		for _, m := range matches {
			if _, err := os.Stat(m); err == nil {
				found = append(found, m)
			}
		}
	}
	return found
}
