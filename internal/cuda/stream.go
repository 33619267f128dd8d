//go:build cuda && cgo && linux

package cuda

// #include <cuda.h>
import "C"

import (
	"errors"
	"time"
	"unsafe"

	"gorgonia.org/cu"
)

// Stream is a queue of work on a device, done in order. Methods enqueue and
// return, unless they say that they block; an error may be that of work enqueued
// before.
type Stream struct {
	device    *Device
	s         cu.Stream
	raw       C.CUstream
	capturing bool
}

// NewStream makes a stream that does not wait for the default stream.
func (d *Device) NewStream() (*Stream, error) {
	s, err := cu.MakeStream(cu.NonBlocking)
	if err != nil {
		return nil, d.check("cuStreamCreate", err)
	}
	return &Stream{device: d, s: s, raw: C.CUstream(unsafe.Pointer(s.C()))}, nil
}

// Close destroys the stream when its work is done; it does not wait.
func (s *Stream) Close() error { return s.device.check("cuStreamDestroy", s.s.Destroy()) }

// Handle is the CUstream for libraries that take one.
func (s *Stream) Handle() uintptr { return uintptr(unsafe.Pointer(s.raw)) }

var errNotPinned = errors.New("cuda: a captured copy names host memory that is not pinned")

// CopyIn copies host memory to the device. From pinned memory it does not block
// and src must not change until the copy is done; from other memory it blocks
// until src has been read. While the stream captures, src must be pinned.
func (s *Stream) CopyIn(dst Ptr, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	if s.capturing && !s.device.isPinned(src) {
		return errNotPinned
	}
	err := cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Pointer(&src[0]), int64(len(src)), s.s)
	return s.device.check("cuMemcpyHtoDAsync", err)
}

// CopyOut copies device memory to the host. To pinned memory it does not block:
// dst is filled once the stream has come there; to other memory it blocks until
// then. While the stream captures, dst must be pinned.
func (s *Stream) CopyOut(dst []byte, src Ptr) error {
	if len(dst) == 0 {
		return nil
	}
	if s.capturing && !s.device.isPinned(dst) {
		return errNotPinned
	}
	err := cu.MemcpyDtoHAsync(unsafe.Pointer(&dst[0]), cu.DevicePtr(src), int64(len(dst)), s.s)
	return s.device.check("cuMemcpyDtoHAsync", err)
}

// Copy copies n bytes within the device.
func (s *Stream) Copy(dst, src Ptr, n int64) error {
	if n == 0 {
		return nil
	}
	err := cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), n, s.s)
	return s.device.check("cuMemcpyDtoDAsync", err)
}

// Memset sets n bytes to b.
func (s *Stream) Memset(dst Ptr, b byte, n int64) error {
	if n == 0 {
		return nil
	}
	return s.device.check("cuMemsetD8Async", cu.MemsetD8Async(cu.DevicePtr(dst), b, n, s.s))
}

// Sync blocks until all work enqueued so far is done.
func (s *Stream) Sync() error { return s.device.check("cuStreamSynchronize", s.s.Synchronize()) }

// Wait makes work enqueued from here on wait for the event as it was last
// recorded; the stream may be of another device than the event.
func (s *Stream) Wait(e *Event) error {
	return s.device.check("cuStreamWaitEvent", s.s.Wait(e.e, 0))
}

// Record puts the event behind the work enqueued so far.
func (s *Stream) Record(e *Event) error {
	return s.device.check("cuEventRecord", e.e.Record(s.s))
}

// Event is a point in a stream.
type Event struct {
	device *Device
	e      cu.Event
}

// NewEvent makes an event; only one made with timing can be given to Elapsed.
func (d *Device) NewEvent(timing bool) (*Event, error) {
	flags := cu.DefaultEvent
	if !timing {
		flags = cu.DisableTiming
	}
	e, err := cu.MakeEvent(flags)
	if err != nil {
		return nil, d.check("cuEventCreate", err)
	}
	return &Event{device: d, e: e}, nil
}

// Sync blocks until the stream has come to the event as it was last recorded.
func (e *Event) Sync() error { return e.device.check("cuEventSynchronize", e.e.Synchronize()) }

// Done reports whether the stream has come there; it does not block.
func (e *Event) Done() (bool, error) {
	err := e.e.Query()
	if err == cu.NotReady {
		return false, nil
	}
	return err == nil, e.device.check("cuEventQuery", err)
}

// Close destroys the event.
func (e *Event) Close() error { return e.device.check("cuEventDestroy", cu.DestroyEvent(&e.e)) }

// Elapsed is the device's time between two events that have both been passed.
func Elapsed(from, to *Event) (time.Duration, error) {
	ms, err := from.e.Elapsed(to.e)
	return time.Duration(ms * float64(time.Millisecond)), from.device.check("cuEventElapsedTime", err)
}
