//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/reasond/reasond/internal/backend"
	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// NewGroup makes n backends that are the ranks of one group, on device
// opt.Device and the n-1 behind it, joined by NCCL, whose library nccl names;
// empty: the system's. Each is driven by its own goroutine, with the same
// batches, see package ranks.
func NewGroup(opt Options, nccl string, cfg backend.Config, n int) ([]*Backend, error) {
	lib, err := driver.OpenNCCL(nccl)
	if err != nil {
		return nil, fmt.Errorf("cuda: %d ranks: %w", n, err)
	}
	id, err := lib.UniqueID()
	if err != nil {
		return nil, fmt.Errorf("cuda: %d ranks: %w", n, err)
	}
	all := make([]*Backend, n)
	err = eachRank(n, func(rank int) (err error) {
		own := opt
		own.Device += rank
		all[rank], err = New(own, cfg)
		return err
	})
	if err == nil { // a rank that could not be made would be waited for
		err = eachRank(n, func(rank int) error { return all[rank].join(lib, id, rank, n) })
	}
	if err != nil {
		for _, b := range all {
			if b != nil {
				b.Close()
			}
		}
		return nil, err
	}
	return all, nil
}

// eachRank runs f for all ranks at once, each on a thread of its own.
func eachRank(n int, f func(rank int) error) error {
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			errs[i] = f(i)
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// join makes the backend a rank; it waits for the others.
func (b *Backend) join(lib *driver.NCCL, id driver.UniqueID, rank, n int) error {
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	c, err := lib.NewComm(b.mem.dev, id, rank, n)
	if err != nil {
		return fmt.Errorf("cuda: rank %d of %d: %w", rank, n, err)
	}
	b.comm = &comm{c}
	return nil
}

// Abort implements ranks.Aborter: what waits for another rank on the device ends.
func (b *Backend) Abort() {
	if c, ok := b.comm.(*comm); ok {
		_ = c.Comm.Abort() // the group is lost already
	}
}

// comm is a rank's membership as a Comm.
type comm struct{ *driver.Comm }

func (c *comm) Rank() int { return c.Comm.Rank }
func (c *comm) Size() int { return c.Comm.Size }

func (c *comm) AllReduce(on *driver.Stream, p kernels.Ptr, n int, e kernels.Elem) error {
	var kind driver.ElementType
	switch e {
	case kernels.ElemF32:
		kind = driver.Float32
	case kernels.ElemBF16:
		kind = driver.BFloat16
	default:
		return errors.New("cuda: sums are of float32 or bfloat16")
	}
	return c.Comm.AllReduce(on, p, p, n, kind)
}
