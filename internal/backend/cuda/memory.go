//go:build cuda && cgo && linux

package cuda

import (
	"fmt"

	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// memory allocates on the device and knows what for. Everything is freed at
// once, by the backend's Close.
type memory struct {
	dev    *driver.Device
	all    []kernels.Ptr
	used   [purposes]int64
	stage  *driver.Pinned
	stream *driver.Stream
}

// purpose is what memory is for, in the words of the error that there is none.
type purpose int

const (
	weightMemory purpose = iota
	activationMemory
	kvMemory
	purposes
)

// stageBytes is the size of the pinned memory that uploads go through.
const stageBytes = 16 << 20

func (m *memory) alloc(what purpose, bytes int64) (kernels.Ptr, error) {
	p, err := m.dev.Alloc(max(bytes, 1))
	if err != nil {
		if driver.OutOfMemory(err) {
			return 0, m.full(bytes, err)
		}
		return 0, lost(err)
	}
	m.all = append(m.all, p)
	m.used[what] += bytes
	return p, nil
}

// make is alloc into *p.
func (m *memory) make(p *kernels.Ptr, what purpose, bytes int64) (err error) {
	*p, err = m.alloc(what, bytes)
	return err
}

// full is the error of an allocation that the device has no room for.
func (m *memory) full(bytes int64, cause error) error {
	free, total, err := m.dev.MemInfo()
	if err != nil {
		return lost(err)
	}
	return fmt.Errorf("cuda: no room for another %s beside weights of %s, activations of %s and KV pages of %s: %s of the device's %s are free: %w",
		mib(bytes), mib(m.used[weightMemory]), mib(m.used[activationMemory]), mib(m.used[kvMemory]), mib(free), mib(total), cause)
}

// upload allocates room for data and brings it over, through pinned memory.
func (m *memory) upload(what purpose, data []byte) (kernels.Ptr, error) {
	p, err := m.alloc(what, int64(len(data)))
	if err != nil {
		return 0, err
	}
	return p, m.copyIn(p, data)
}

func (m *memory) copyIn(to kernels.Ptr, data []byte) error {
	for at := 0; at < len(data); at += stageBytes {
		part := m.stage.Bytes[:copy(m.stage.Bytes, data[at:])]
		if err := m.stream.CopyIn(to+kernels.Ptr(at), part); err != nil {
			return lost(err)
		}
		if err := m.stream.Sync(); err != nil {
			return lost(err)
		}
	}
	return nil
}

// free returns everything. The first error is returned, the rest is freed all
// the same.
func (m *memory) free() (err error) {
	for _, p := range m.all {
		if e := m.dev.Free(p); err == nil && e != nil {
			err = lost(e)
		}
	}
	m.all = nil
	return err
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", (n+(1<<20)-1)>>20) }
