//go:build cuda && cgo && linux

package gpucheck

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Rig is a device with kernels, held by the calling goroutine's thread.
type Rig struct {
	dev    *driver.Device
	module *driver.Module
	stream *driver.Stream
	blas   *driver.BLAS // nil: none was found
	sizes  sizes

	library string // cuBLASLt's; empty: where it is usually found
	taken   []kernels.Ptr
	copies  float64 // GB/s of a plain copy, once measured
}

// sizes is how much a measurement takes; an emulated device gets little.
type sizes struct {
	tiny    bool
	copied  int64 // bytes of the copy that others are compared with
	spread  int64 // bytes that a kernel's inputs are spread over: more than any cache
	repeats int
}

// NewRig takes device 0 of the driver that is open, and cuBLASLt from a path, or
// where it is empty from where it is usually found. Close it on the same goroutine.
func NewRig(blas string) (*Rig, error) {
	runtime.LockOSThread()
	r := &Rig{library: blas}
	err := r.open()
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return r, nil
}

func (r *Rig) open() (err error) {
	if r.dev, err = driver.NewDevice(0); err != nil {
		return err
	}
	r.sizes = sizes{copied: 1 << 30, spread: 512 << 20, repeats: 15}
	if emulated(r.dev.Info) {
		r.sizes = sizes{tiny: true, copied: 1 << 16, spread: 1 << 10, repeats: 1}
	}
	if r.stream, err = r.dev.NewStream(); err != nil {
		return err
	}
	if r.module, err = r.dev.Load(kernels.Image()); err != nil {
		return err
	}
	r.blas, err = driver.OpenBLAS(r.library)
	if errors.Is(err, driver.ErrNoBLAS) {
		err = nil
	}
	return err
}

// emulated tells the device of the fake driver.
func emulated(d driver.DeviceInfo) bool { return strings.HasPrefix(d.Name, "Emulated") }

// Close gives everything back.
func (r *Rig) Close() error {
	defer runtime.UnlockOSThread()
	r.release()
	if r.blas != nil {
		r.blas.Close()
	}
	return errors.Join(r.stream.Close(), r.dev.Close())
}

// release frees what take took.
func (r *Rig) release() {
	for _, p := range r.taken {
		_ = r.dev.Free(p) // a lost device has said so already
	}
	r.taken = nil
}

// take is device memory filled with small numbers of whatever format.
func (r *Rig) take(bytes int64) (kernels.Ptr, error) {
	p, err := r.dev.Alloc(bytes)
	if err != nil {
		return 0, err
	}
	r.taken = append(r.taken, p)
	return p, r.stream.Memset(p, 0x3a, bytes) // 0.0007 in bfloat16, 0.0007 in float32
}

// upload is device memory with that content.
func (r *Rig) upload(data []byte) (kernels.Ptr, error) {
	p, err := r.take(int64(len(data)))
	if err != nil {
		return 0, err
	}
	return p, r.stream.CopyIn(p, data)
}

// pick chooses the value for a real device or an emulated one.
func pick[T any](r *Rig, real, tiny T) T {
	if r.sizes.tiny {
		return tiny
	}
	return real
}

// launch is the time of one of n rounds of enqueue, which is captured once and
// replayed, so that the host's time is not measured: the median of some. It runs
// once before: libraries load kernels when they first need them.
func (r *Rig) launch(n int, enqueue func(*driver.Stream) error) (time.Duration, error) {
	if err := errors.Join(enqueue(r.stream), r.stream.Sync()); err != nil {
		return 0, err
	}
	graph, err := r.stream.Capture(func() error { return enqueue(r.stream) })
	if err != nil {
		return 0, err
	}
	defer graph.Close()
	exec, err := graph.Instantiate()
	if err != nil {
		return 0, err
	}
	defer exec.Close()
	from, err := r.dev.NewEvent(true)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to, err := r.dev.NewEvent(true)
	if err != nil {
		return 0, err
	}
	defer to.Close()
	var times []time.Duration
	for i := range r.sizes.repeats + 2 {
		err := errors.Join(r.stream.Record(from), r.stream.LaunchGraph(exec), r.stream.Record(to), to.Sync())
		if err != nil {
			return 0, err
		}
		t, err := driver.Elapsed(from, to)
		if err != nil {
			return 0, err
		}
		if i >= 2 || r.sizes.tiny { // the first two warm up
			times = append(times, t)
		}
	}
	slices.Sort(times)
	return times[len(times)/2] / time.Duration(n), nil
}

// kernels is launch of lists of kernels, one list a round.
func (r *Rig) kernels(rounds [][]kernels.Launch) (time.Duration, error) {
	bound, err := r.module.Bind(slices.Concat(rounds...)...)
	if err != nil {
		return 0, err
	}
	list, err := driver.NewLaunches(bound)
	if err != nil {
		return 0, err
	}
	defer list.Free()
	return r.launch(len(rounds), func(s *driver.Stream) error { return s.Launch(list) })
}

// copySpeed is what a plain copy within the device reads and writes, in GB/s.
func (r *Rig) copySpeed() (float64, error) {
	if r.copies > 0 {
		return r.copies, nil
	}
	defer r.release()
	from, err := r.take(r.sizes.copied)
	if err != nil {
		return 0, err
	}
	to, err := r.take(r.sizes.copied)
	if err != nil {
		return 0, err
	}
	t, err := r.launch(1, func(s *driver.Stream) error { return s.Copy(to, from, r.sizes.copied) })
	if err != nil {
		return 0, err
	}
	r.copies = speed(2*r.sizes.copied, t)
	return r.copies, nil
}

// speed is bytes over time in GB/s.
func speed(bytes int64, t time.Duration) float64 { return float64(bytes) / max(float64(t), 1) }

// Machine is a line about what is measured.
func (r *Rig) Machine() string {
	i := r.dev.Info
	blas := "no cuBLASLt"
	if r.blas != nil {
		blas = fmt.Sprintf("cuBLASLt %d", r.blas.Version())
	}
	return fmt.Sprintf("%s, sm_%d%d, %d multiprocessors, %d MiB, driver %s, %s",
		i.Name, i.Major, i.Minor, i.SMs, i.TotalMem>>20, driver.DriverVersion(), blas)
}
