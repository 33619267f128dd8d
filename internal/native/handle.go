package native

import (
	"sync"
	"unsafe"
)

// A handle owns an object of the library. Calls on it may run at the same time;
// closing waits for those in progress.
type handle struct {
	mu      sync.RWMutex
	pointer unsafe.Pointer
	free    func(unsafe.Pointer)
}

func newHandle(pointer unsafe.Pointer, free func(unsafe.Pointer)) *handle {
	return &handle{pointer: pointer, free: free}
}

// use calls f with the live pointer, or returns ErrClosed.
func (h *handle) use(f func(unsafe.Pointer) error) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.pointer == nil {
		return ErrClosed
	}
	return f(h.pointer)
}

// close frees the object, once.
func (h *handle) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pointer != nil {
		h.free(h.pointer)
		h.pointer = nil
	}
}
