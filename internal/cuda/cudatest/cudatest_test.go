//go:build cuda && cgo && linux

package cudatest_test

import (
	"encoding/binary"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/cuda/cudatest"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// rig is a device with the emulator's test kernels and eight floats of memory.
type rig struct {
	device *cuda.Device
	module *cuda.Module
	stream *cuda.Stream
	x      cuda.Ptr
	host   *cuda.Pinned
}

func open(t *testing.T) *rig {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	ok(cuda.Open(cudatest.Driver(t)))
	if !cudatest.Present() {
		t.Skip("the driver is not the emulated one")
	}
	r := &rig{}
	var err error
	r.device, err = cuda.NewDevice(0)
	ok(err)
	t.Cleanup(func() { _ = r.device.Close() })
	r.module, err = r.device.Load(cudatest.Kernels(t))
	ok(err)
	r.stream, err = r.device.NewStream()
	ok(err)
	r.x, err = r.device.Alloc(32)
	ok(err)
	r.host, err = r.device.Pinned(32)
	ok(err)
	ok(r.stream.Memset(r.x, 0, 32))
	ok(r.stream.Sync())
	cudatest.Reset()
	return r
}

func (r *rig) launch(t *testing.T, kernel string, args ...uint64) {
	t.Helper()
	bound, err := r.module.Bind(kernels.Launch{Kernel: kernel, Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	list, err := cuda.NewLaunches(bound)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Free()
	if err := r.stream.Launch(list); err != nil {
		t.Fatal(err)
	}
}

func TestCountersTellWhatWasDone(t *testing.T) {
	r := open(t)
	r.launch(t, "add_to", uint64(r.x), kernels.Float(2), kernels.Int(8))
	if err := r.stream.CopyOut(r.host.Bytes, r.x); err != nil {
		t.Fatal(err)
	}
	if err := r.stream.Sync(); err != nil {
		t.Fatal(err)
	}
	if v := math.Float32frombits(binary.LittleEndian.Uint32(r.host.Bytes[28:])); v != 2 {
		t.Errorf("the kernel gave %v", v)
	}
	c := cudatest.Read()[0]
	if c.Launches["add_to"] != 1 || c.DirectLaunches != 1 || c.GraphLaunches != 0 || c.BytesOut != 32 || c.CopiesOut != 1 || c.Syncs != 1 {
		t.Errorf("%+v", c)
	}
	cudatest.Reset()
	if c := cudatest.Read()[0]; len(c.Launches) != 0 || c.BytesOut != 0 || c.Used == 0 {
		t.Errorf("after a reset: %+v", c)
	}
}

func TestFaultsAreInjectedOnceAndAreSticky(t *testing.T) {
	r := open(t)
	cudatest.Fault("add_to", 2, 700)
	for want := range 2 {
		r.launch(t, "add_to", uint64(r.x), kernels.Float(2), kernels.Int(8))
		if err := r.stream.Sync(); (err != nil) != (want == 1) || cuda.Sticky(err) != (want == 1) {
			t.Fatalf("launch %d: %v", want+1, err)
		}
	}
}

// The emulator takes SIGSEGV for kernels. Go's own must still become panics, also
// after a kernel's.
func TestFaultsOfKernelsAndOfGoAreKeptApart(t *testing.T) {
	r := open(t)
	caught := func() (caught any) {
		defer func() { caught = recover() }()
		var p *rig
		return p.x
	}
	if caught() == nil {
		t.Fatal("no panic for nil")
	}
	r.launch(t, "write_at", uint64(r.x), 1<<40)
	err := r.stream.Sync()
	if !cuda.Sticky(err) || !strings.Contains(err.Error(), "write_at block (0,0,0) thread (0,0,0): an illegal address") {
		t.Fatalf("the kernel's fault: %v", err)
	}
	if caught() == nil {
		t.Fatal("no panic for nil after a kernel's fault")
	}
}

func TestOnlyOrdersAreSet(t *testing.T) {
	open(t)
	for _, order := range []string{"reverse", "seed:3", "forward"} {
		if err := cudatest.SetOrder(order); err != nil {
			t.Error(err)
		}
	}
	if cudatest.SetOrder("sideways") == nil {
		t.Error("an order that is none was taken")
	}
}
