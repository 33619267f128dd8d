//go:build cuda && cgo && linux

package cuda

// #cgo LDFLAGS: -L${SRCDIR}/ld -Wl,--as-needed -ldl -lpthread
// #include <stdlib.h>
// #include <cuda.h>
// #include "lazy.h"
import "C"

import (
	"fmt"
	"reflect"
	"unsafe"

	"gorgonia.org/cu"
)

// Built reports whether the program was built with the tag cuda.
const Built = true

// reasonSize is room for the loader's words about a library.
const reasonSize = 512

// Open loads and starts the driver from path, libcuda.so.1 where it is empty. It
// must have succeeded before anything else is called; then it does nothing more.
// Errors: ErrNoDriver, ErrNoDevice, or an Error of cuInit.
func Open(path string) error {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	why := (*C.char)(C.calloc(1, reasonSize))
	defer C.free(unsafe.Pointer(why))
	switch code := C.reasond_driver_open(p, why, reasonSize); code {
	case C.CUDA_SUCCESS:
		return nil
	case -1:
		return fmt.Errorf("%w (%s)", ErrNoDriver, C.GoString(why))
	case C.CUDA_ERROR_NO_DEVICE:
		return ErrNoDevice
	default: // the library knows no texts: it has not started
		return &Error{Call: "cuInit", Code: int(code), Name: "CUresult", Text: "the driver does not start"}
	}
}

// DriverVersion is the newest CUDA release that the driver supports, such as
// "13.0"; empty before Open.
func DriverVersion() string {
	v := cu.Version() // 1000 × major + 10 × minor
	if v <= 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", v/1000, v%1000/10)
}

// failed is the error of a driver call, nil for success.
func failed(call string, code C.CUresult) error {
	if code == C.CUDA_SUCCESS {
		return nil
	}
	e := &Error{Call: call, Code: int(code), Name: "CUresult"}
	var s *C.char
	if C.cuGetErrorName(code, &s) == C.CUDA_SUCCESS && s != nil {
		e.Name = C.GoString(s)
	}
	s = nil
	if C.cuGetErrorString(code, &s) == C.CUDA_SUCCESS && s != nil {
		e.Text = C.GoString(s)
	}
	return e
}

// check is failed for an error of gorgonia's, whose type holds the code but is
// not exported.
func check(call string, err error) error {
	if err == nil {
		return nil
	}
	if v := reflect.ValueOf(err); v.Kind() == reflect.Int {
		return failed(call, C.CUresult(v.Int()))
	}
	return fmt.Errorf("%s: %w", call, err)
}
