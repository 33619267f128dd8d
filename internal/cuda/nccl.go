//go:build cuda && cgo && linux

package cuda

// #include <stdlib.h>
// #include "nccl.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// NCCL is the library of collectives between GPUs.
type NCCL struct {
	n    *C.reasond_nccl
	path string
}

// OpenNCCL loads NCCL from path, or where it is empty from the loader's path or
// Python's packages. It is the same for all devices. ErrNoNCCL where there is
// none.
func OpenNCCL(path string) (*NCCL, error) {
	lib, found, err := openLibrary(path, []string{"libnccl.so.2"}, ErrNoNCCL)
	if err != nil {
		return nil, err
	}
	var missing *C.char
	n := C.reasond_nccl_new(lib, &missing)
	if n == nil {
		return nil, fmt.Errorf("%w (%s lacks %s)", ErrNoNCCL, found, C.GoString(missing))
	}
	return &NCCL{n: n, path: found}, nil
}

// Path is the library that was loaded.
func (n *NCCL) Path() string { return n.path }

// Version is the library's, such as 22803; 0 where it does not say.
func (n *NCCL) Version() int { return int(C.reasond_nccl_version(n.n)) }

// UniqueID names a group of ranks that belong together.
type UniqueID [128]byte

// UniqueID makes one, which every rank's NewComm gets.
func (n *NCCL) UniqueID() (UniqueID, error) {
	var id C.nccl_id
	if code := C.reasond_nccl_unique(n.n, &id); code != 0 {
		return UniqueID{}, n.failed("ncclGetUniqueId", nil, code)
	}
	return *(*UniqueID)(unsafe.Pointer(&id)), nil
}

// Comm is one rank's membership in a group. Its calls come from the thread of the
// rank's device, but for Abort.
type Comm struct {
	Rank, Size int

	nccl   *NCCL
	device *Device
	mu     sync.Mutex
	comm   unsafe.Pointer // nil after Close and Abort
}

// handle is the library's handle; the lock is not held while a call blocks, for
// then Abort must come through.
func (c *Comm) handle() unsafe.Pointer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.comm
}

// leave is handle for the last call.
func (c *Comm) leave() unsafe.Pointer {
	c.mu.Lock()
	defer c.mu.Unlock()
	comm := c.comm
	c.comm = nil
	return comm
}

var errLeft = errors.New("cuda: the rank has left its group")

// NewComm joins a group as one of size ranks, with the device that is current on
// the calling thread. It blocks until all ranks have called it.
func (n *NCCL) NewComm(d *Device, id UniqueID, rank, size int) (*Comm, error) {
	c := &Comm{Rank: rank, Size: size, nccl: n, device: d}
	slot := (*unsafe.Pointer)(C.calloc(1, C.size_t(unsafe.Sizeof(c.comm)))) // filled while the call blocks
	defer C.free(unsafe.Pointer(slot))
	code := C.reasond_nccl_init(n.n, slot, C.int(size), (*C.nccl_id)(unsafe.Pointer(&id)), C.int(rank))
	if code != 0 {
		return nil, n.failed("ncclCommInitRank", nil, code)
	}
	c.comm = *slot
	return c, nil
}

// ElementType is what a collective adds or moves.
type ElementType int

// The element types of collectives.
const (
	Float32  ElementType = C.NCCL_FLOAT32
	BFloat16 ElementType = C.NCCL_BFLOAT16
)

// AllReduce sets recv to the sum of all ranks' send, count elements each; send may
// be recv. It is enqueued and can be captured.
func (c *Comm) AllReduce(s *Stream, send, recv Ptr, count int, kind ElementType) error {
	comm := c.handle()
	if comm == nil {
		return errLeft
	}
	code := C.reasond_nccl_reduce(c.nccl.n, comm, C.uint64_t(send), C.uint64_t(recv), C.size_t(count), C.int(kind), C.uintptr_t(uintptr(unsafe.Pointer(s.raw))))
	if code == 0 {
		return nil
	}
	return c.device.note(c.nccl.failed("ncclAllReduce", comm, code))
}

// AllGather sets recv to all ranks' send behind each other, count elements each;
// send may be its own place in recv. It is enqueued and can be captured.
func (c *Comm) AllGather(s *Stream, send, recv Ptr, count int, kind ElementType) error {
	comm := c.handle()
	if comm == nil {
		return errLeft
	}
	code := C.reasond_nccl_gather(c.nccl.n, comm, C.uint64_t(send), C.uint64_t(recv), C.size_t(count), C.int(kind), C.uintptr_t(uintptr(unsafe.Pointer(s.raw))))
	if code == 0 {
		return nil
	}
	return c.device.note(c.nccl.failed("ncclAllGather", comm, code))
}

// Err is what has gone wrong in the group behind the calls' backs, nil if nothing
// has.
func (c *Comm) Err() error {
	comm := c.handle()
	if comm == nil {
		return errLeft
	}
	if code := C.reasond_nccl_async(c.nccl.n, comm); code != 0 {
		return c.nccl.failed("ncclCommGetAsyncError", comm, code)
	}
	return nil
}

// Close leaves the group when its work is done; all ranks must do so.
func (c *Comm) Close() error {
	comm := c.leave()
	if comm == nil {
		return nil
	}
	if code := C.reasond_nccl_destroy(c.nccl.n, comm); code != 0 {
		return c.nccl.failed("ncclCommDestroy", nil, code)
	}
	return nil
}

// Abort ends the rank's collectives that still wait for others and leaves the
// group. Any thread may call it, while no other call of this Comm but a blocked
// one runs.
func (c *Comm) Abort() error {
	comm := c.leave()
	if comm == nil {
		return nil
	}
	if code := C.reasond_nccl_abort(c.nccl.n, comm); code != 0 {
		return c.nccl.failed("ncclCommAbort", nil, code)
	}
	return nil
}

// ncclResults are the names of nccl.h's ncclResult_t.
var ncclResults = []string{
	"ncclSuccess", "ncclUnhandledCudaError", "ncclSystemError", "ncclInternalError",
	"ncclInvalidArgument", "ncclInvalidUsage", "ncclRemoteError", "ncclInProgress",
}

func (n *NCCL) failed(call string, comm unsafe.Pointer, code C.int) error {
	e := &Error{Call: call, Code: int(code), Name: "ncclResult", Text: C.GoString(C.reasond_nccl_text(n.n, comm, code))}
	if int(code) < len(ncclResults) {
		e.Name = ncclResults[code]
	}
	return e
}
