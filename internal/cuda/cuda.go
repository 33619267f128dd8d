// Package cuda drives NVIDIA GPUs: devices and contexts, device and pinned
// memory, streams and events, modules, batched launches, captured graphs,
// cuBLASLt and NCCL. It knows kernels by name and arguments as words; what they
// compute is for kernels/cuda and internal/backend/cuda.
//
// gorgonia.org/cu is at its centre; the files here add what that lacks. Built
// without the tag cuda the package is empty but for a few names whose functions
// return ErrNotBuilt.
//
// No NVIDIA library is linked. The driver's symbols are forwarders (tramp.c,
// generated from symbols.txt) that look the real ones up in the library that
// Open has loaded; ld/libcuda.so, a linker script, satisfies gorgonia's -lcuda.
// So one binary starts with or without a driver, and nothing touches the driver
// before Open. cuBLASLt and NCCL are loaded the same way by OpenBLAS and OpenNCCL.
//
// A Device belongs to one OS thread: NewDevice makes its context current on the
// calling thread, which must be locked (runtime.LockOSThread), and every method
// of the device and of what it made is called from there.
package cuda

import "errors"

//go:generate go run generate.go

// ErrNotBuilt says that the program was built without the tag cuda.
var ErrNotBuilt = errors.New("this binary was built without CUDA: make build-cuda")

// ErrNoDriver says that no driver library was found.
var ErrNoDriver = errors.New("no CUDA driver on this machine")

// ErrNoDevice says that the driver knows no GPU.
var ErrNoDevice = errors.New("the CUDA driver finds no GPU")

// ErrNoBLAS says that no cuBLASLt library was found.
var ErrNoBLAS = errors.New("no cuBLASLt library found")

// ErrNoNCCL says that no NCCL library was found.
var ErrNoNCCL = errors.New("no NCCL library found")

// DeviceInfo describes a device.
type DeviceInfo struct {
	Index        int
	Name         string
	UUID         string // GPU-xxxxxxxx-…, as nvidia-smi has it
	Major, Minor int    // compute capability
	TotalMem     int64  // bytes
	FreeMem      int64  // bytes; -1 where the device could not be asked
	SMs          int    // multiprocessors
	MaxShared    int    // bytes of shared memory a block may have after opting in
}
