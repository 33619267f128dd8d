//go:build cuda && cgo && linux

package cuda

// #include <cuda.h>
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Ptr is an address in a device's memory.
type Ptr = kernels.Ptr

// Alloc gives device memory, at a multiple of 256 bytes; its content is undefined.
// OutOfMemory recognises the error where there is too little.
func (d *Device) Alloc(bytes int64) (Ptr, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("cuda: an allocation of %d bytes", bytes)
	}
	p, err := cu.MemAlloc(bytes)
	return Ptr(p), d.check("cuMemAlloc", err)
}

// Free gives memory back; it waits for the work that was enqueued before.
func (d *Device) Free(p Ptr) error { return d.check("cuMemFree", cu.MemFree(cu.DevicePtr(p))) }

// Pinned is page-locked host memory, outside of Go's heap: the source and the
// target of copies that do not block, and the only host memory that a captured
// copy may name.
type Pinned struct {
	Bytes []byte

	device *Device
}

// Pinned gives page-locked memory of that many bytes, zeroed.
func (d *Device) Pinned(bytes int64) (*Pinned, error) {
	if bytes <= 0 {
		return nil, fmt.Errorf("cuda: %d bytes of pinned memory", bytes)
	}
	var p unsafe.Pointer
	code := C.cuMemHostAlloc(&p, C.size_t(bytes), C.CU_MEMHOSTALLOC_PORTABLE)
	if err := d.note(failed("cuMemHostAlloc", code)); err != nil {
		return nil, err
	}
	m := &Pinned{Bytes: unsafe.Slice((*byte)(p), bytes), device: d}
	clear(m.Bytes)
	d.pinned[m] = struct{}{}
	return m, nil
}

// Free gives the memory back: Bytes must not be used any more, nor a graph that
// copies from or to it.
func (m *Pinned) Free() error {
	if m.Bytes == nil {
		return nil
	}
	delete(m.device.pinned, m)
	p := unsafe.Pointer(&m.Bytes[0])
	m.Bytes = nil
	return m.device.check("cuMemFreeHost", cu.MemFreeHost(p))
}

// isPinned reports whether b lies in this device's pinned memory.
func (d *Device) isPinned(b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for m := range d.pinned {
		from := uintptr(unsafe.Pointer(unsafe.SliceData(m.Bytes)))
		if at >= from && at+uintptr(len(b)) <= from+uintptr(len(m.Bytes)) {
			return true
		}
	}
	return false
}
