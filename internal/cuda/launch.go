//go:build cuda && cgo && linux

package cuda

// #include <stdlib.h>
// #include "launch.h"
import "C"

import "unsafe"

// Bound is a launch whose kernel is found. Args holds one word an argument, as
// kernels/cuda.Launch has it.
type Bound struct {
	Fn     Function
	Grid   [3]uint32
	Block  [3]uint32
	Shared uint32
	Args   []uint64
}

// Launches is a list of launches in C's memory, made once and enqueued many times
// by one call that allocates nothing.
type Launches struct {
	list  *C.reasond_launches
	names []string
}

// NewLaunches copies the launches; Free gives the copy back. Kernels that want
// more shared memory than every kernel may have are allowed it.
func NewLaunches(bound []Bound) (*Launches, error) {
	args := 0
	for _, b := range bound {
		if err := b.Fn.AllowShared(b.Shared); err != nil {
			return nil, err
		}
		args += len(b.Args)
	}
	// One block: the header, the launches, an address an argument, the arguments.
	const word = unsafe.Sizeof(uint64(0))
	header := unsafe.Sizeof(C.reasond_launches{})
	each := unsafe.Sizeof(C.reasond_launch{})
	size := header + uintptr(len(bound))*each + uintptr(args)*2*word
	block := C.calloc(1, C.size_t(size))
	launches := unsafe.Slice((*C.reasond_launch)(unsafe.Add(block, header)), len(bound))
	at := unsafe.Add(block, header+uintptr(len(bound))*each)
	addresses := unsafe.Slice((*unsafe.Pointer)(at), args)
	values := unsafe.Slice((*uint64)(unsafe.Add(at, uintptr(args)*word)), args)

	l := &Launches{list: (*C.reasond_launches)(block), names: make([]string, len(bound))}
	l.list.count = C.size_t(len(bound))
	l.list.launch = unsafe.SliceData(launches)
	for i, b := range bound {
		l.names[i] = b.Fn.name
		n := len(b.Args)
		copy(values, b.Args)
		for j := range n {
			addresses[j] = unsafe.Pointer(&values[j])
		}
		launches[i] = C.reasond_launch{fn: b.Fn.raw, shared: C.uint(b.Shared), params: unsafe.SliceData(addresses)}
		for axis := range 3 {
			launches[i].grid[axis], launches[i].block[axis] = C.uint(b.Grid[axis]), C.uint(b.Block[axis])
		}
		addresses, values = addresses[n:], values[n:]
	}
	return l, nil
}

// Len is how many launches there are.
func (l *Launches) Len() int { return len(l.names) }

// Free gives the memory back. A graph captured from the launches has copies.
func (l *Launches) Free() {
	C.free(unsafe.Pointer(l.list))
	l.list, l.names = nil, nil
}

// Launch enqueues the launches in order, in one call. The error names the kernel
// that was refused; those before it were enqueued.
func (s *Stream) Launch(l *Launches) error {
	code := C.reasond_launch_all(l.list, s.raw)
	if code == C.CUDA_SUCCESS {
		return nil
	}
	return s.device.note(failed("cuLaunchKernel("+l.names[l.list.failed]+")", code))
}
