//go:build cuda && cgo && linux

package cuda

// #include "blas.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// BLAS is cuBLASLt on one device. It belongs to the device's thread.
type BLAS struct {
	b     *C.reasond_blas
	path  string
	plans map[MatMul]*Plan
}

// OpenBLAS loads cuBLASLt from path, or where it is empty from the loader's path,
// an installed toolkit or Python's packages, and makes a handle in the calling
// thread's context. ErrNoBLAS where there is none.
func OpenBLAS(path string) (*BLAS, error) {
	lib, found, err := openLibrary(path, []string{"libcublasLt.so.13", "libcublasLt.so.12"}, ErrNoBLAS)
	if err != nil {
		return nil, err
	}
	var failure C.reasond_blas_failure
	b := C.reasond_blas_new(lib, &failure)
	if b == nil {
		if failure.code < 0 {
			return nil, fmt.Errorf("%w (%s lacks %s)", ErrNoBLAS, found, C.GoString(failure.call))
		}
		return nil, blasError(&failure)
	}
	return &BLAS{b: b, path: found, plans: map[MatMul]*Plan{}}, nil
}

// Path is the library that was loaded.
func (b *BLAS) Path() string { return b.path }

// Version is the library's, such as 130100.
func (b *BLAS) Version() int { return int(C.reasond_blas_version(b.b)) }

// Close destroys the handle and all plans.
func (b *BLAS) Close() {
	for _, p := range b.plans {
		C.reasond_blas_plan_free(p.p)
	}
	C.reasond_blas_free(b.b)
	b.b, b.plans = nil, nil
}

// MatMul is a multiplication y[M][N] = x[M][K] · w[N][K]ᵀ + beta·y (+ bias[N]),
// row-major, x and w in bfloat16, summed in float32. It is the key of a plan.
type MatMul struct {
	M, N, K int
	XStride int    // elements from row to row of x; 0: K
	YStride int    // of y; 0: N
	Float32 bool   // y and the bias are float32 instead of bfloat16
	Bias    bool   // a bias is added
	Space   uint32 // bytes of workspace that may be used
}

// Plan is the algorithm chosen for a multiplication.
type Plan struct {
	blas *BLAS
	p    *C.reasond_blas_plan
}

// Plan chooses an algorithm, once a MatMul: the choice is kept. An Error with the
// status NOT_SUPPORTED says that the library has none.
func (b *BLAS) Plan(mul MatMul) (*Plan, error) {
	if p := b.plans[mul]; p != nil {
		return p, nil
	}
	xs, ys, kind := mul.XStride, mul.YStride, C.int(C.BLAS_R_16BF)
	if xs == 0 {
		xs = mul.K
	}
	if ys == 0 {
		ys = mul.N
	}
	if mul.Float32 {
		kind = C.BLAS_R_32F
	}
	if mul.M <= 0 || mul.N <= 0 || mul.K <= 0 || xs < mul.K || ys < mul.N {
		return nil, fmt.Errorf("cuda: a multiplication of %d×%d by %d×%d, strides %d and %d", mul.M, mul.K, mul.N, mul.K, xs, ys)
	}
	bias := C.int(0)
	if mul.Bias {
		bias = 1
	}
	var failure C.reasond_blas_failure
	p := C.reasond_blas_plan_new(b.b, C.int64_t(mul.M), C.int64_t(mul.N), C.int64_t(mul.K),
		C.int64_t(xs), C.int64_t(ys), kind, bias, C.size_t(mul.Space), &failure)
	if p == nil {
		return nil, blasError(&failure)
	}
	b.plans[mul] = &Plan{blas: b, p: p}
	return b.plans[mul], nil
}

// Workspace is how many bytes the chosen algorithm needs, at most MatMul.Space.
func (p *Plan) Workspace() int64 { return int64(C.reasond_blas_plan_workspace(p.p)) }

// Enqueue enqueues the multiplication on s; it can be captured. bias is used where
// MatMul.Bias says so. beta is 0 or 1. All addresses are multiples of 16. workspace has space bytes, at least
// Workspace, and is used until the multiplication is done.
func (p *Plan) Enqueue(s *Stream, x, w, y, bias Ptr, beta float32, workspace Ptr, space int64) error {
	code := C.reasond_blas_run(p.p, C.uint64_t(x), C.uint64_t(w), C.uint64_t(y), C.uint64_t(bias),
		C.float(beta), C.uint64_t(workspace), C.size_t(space), C.uintptr_t(uintptr(unsafe.Pointer(s.raw))))
	if code == 0 {
		return nil
	}
	return s.device.note(p.blas.failed("cublasLtMatmul", code))
}

func (b *BLAS) failed(call string, code C.int) error {
	var failure C.reasond_blas_failure
	C.reasond_blas_explain(b.b, nil, code, &failure)
	e := blasError(&failure)
	e.Call = call
	return e
}

// blasStatus is the name of a status where the library does not tell it.
const blasStatus = "cublasStatus"

func blasError(f *C.reasond_blas_failure) *Error {
	e := &Error{Call: C.GoString(f.call), Code: int(f.code), Name: blasStatus, Text: C.GoString(f.text)}
	if f.name != nil {
		e.Name = C.GoString(f.name)
	}
	return e
}
