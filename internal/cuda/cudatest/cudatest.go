//go:build cuda && cgo && linux

// Package cudatest is what tests see of the emulated driver besides the driver API:
// where it lies, what it has counted, the order its threads run in, and the faults
// it shall inject. It is of no use on a real driver: see Present.
package cudatest

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdint.h>
// #include <stdlib.h>
//
// static void *emulator(void) {
//	static void *lib;
//	if (!lib)
//		lib = dlopen("libfakecuda.so", RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
//	return lib;
// }
// static void *find(const char *name) {
//	void *lib = emulator();
//	return lib ? dlsym(lib, name) : 0;
// }
// static size_t emu_counters(char *to, size_t size) {
//	size_t (*f)(char *, size_t) = (size_t (*)(char *, size_t))find("emu_counters");
//	return f ? f(to, size) : 0;
// }
// static void emu_reset(void) {
//	void (*f)(void) = (void (*)(void))find("emu_reset");
//	if (f)
//		f();
// }
// static int emu_set_order(const char *order) {
//	int (*f)(const char *) = (int (*)(const char *))find("emu_set_order");
//	return f ? f(order) : 0;
// }
// static void emu_fault(const char *name, uint64_t nth, int code) {
//	void (*f)(const char *, uint64_t, int) = (void (*)(const char *, uint64_t, int))find("emu_fault");
//	if (f)
//		f(name, nth, code);
// }
import "C"

import (
	"encoding/json"
	"fmt"
	"unsafe"
)

// Counters are what a device has done since the last Reset.
type Counters struct {
	Launches       map[string]int `json:"launches"`        // by kernel, in graphs or not
	Calls          map[string]int `json:"calls"`           // of libraries: "cublasLtMatmul", "ncclAllReduce"
	DirectLaunches int            `json:"direct_launches"` // those of Launches that no graph held
	GraphLaunches  int            `json:"graph_launches"`
	CopiesIn       int            `json:"copies_in"`
	BytesIn        int64          `json:"bytes_in"`
	CopiesOut      int            `json:"copies_out"`
	BytesOut       int64          `json:"bytes_out"`
	CopiesWithin   int            `json:"copies_within"`
	BytesWithin    int64          `json:"bytes_within"`
	Fills          int            `json:"fills"`
	Allocations    int            `json:"allocations"`
	Frees          int            `json:"frees"`
	Syncs          int            `json:"syncs"` // waits of the host for a stream, an event or the device
	Used           int64          `json:"used"`  // bytes of memory allocated now
	Peak           int64          `json:"peak"`  // the most since the last Reset
}

// Present reports whether the driver that was opened is the emulated one.
func Present() bool { return C.emulator() != nil }

// Read gives the counters of every device, nil where the driver is another.
func Read() []Counters {
	for size := C.size_t(1 << 14); ; size *= 2 {
		buf := C.malloc(size)
		n := C.emu_counters((*C.char)(buf), size)
		if n >= size {
			C.free(buf)
			continue
		}
		text := C.GoBytes(buf, C.int(n))
		C.free(buf)
		if n == 0 {
			return nil
		}
		var all []Counters
		if err := json.Unmarshal(text, &all); err != nil {
			panic(fmt.Sprintf("cudatest: the counters %q: %v", text, err))
		}
		return all
	}
}

// Reset sets all counters to zero and forgets the faults not yet met.
func Reset() { C.emu_reset() }

// SetOrder sets the order in which threads, warps and blocks run from here on:
// "forward", "reverse" or "seed:N". Streams that nothing holds together run in
// that order too.
func SetOrder(order string) error {
	p := C.CString(order)
	defer C.free(unsafe.Pointer(p))
	if C.emu_set_order(p) == 0 {
		return fmt.Errorf("cudatest: the order %q cannot be set", order)
	}
	return nil
}

// Fault makes the nth call (1: the next) of a kernel or of a library's function
// ("cublasLtMatmul", "ncclAllReduce") fail with a CUresult, which loses the
// device's context; "cuMemAlloc" fails without. The name "*" is whatever comes.
func Fault(name string, nth, code int) {
	p := C.CString(name)
	defer C.free(unsafe.Pointer(p))
	C.emu_fault(p, C.uint64_t(nth), C.int(code))
}
