//go:build cuda && cgo && linux

package cuda_test

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// sum is a device with x and out of cols float32 and the launch out += x.
type sum struct {
	d          *cuda.Device
	s          *cuda.Stream
	m          *cuda.Module
	batch      kernels.Batch
	x, out     kernels.Buffer
	result, in []byte // pinned
}

const sumCols = 1000

func newSum(t testing.TB) *sum {
	d := open(t, 0)
	c := &sum{d: d, s: stream(t, d), m: load(t, d)}
	c.batch.Header = alloc(t, d, 4*kernels.HeaderWords)
	c.x = kernels.Buffer{Ptr: alloc(t, d, 4*sumCols), Elem: kernels.ElemF32, Cols: sumCols}
	c.out = kernels.Buffer{Ptr: alloc(t, d, 4*sumCols), Elem: kernels.ElemF32, Cols: sumCols}
	c.in, c.result = pinned(t, d, 4*sumCols), pinned(t, d, 4*sumCols)
	header := make([]byte, 4*kernels.HeaderWords)
	binary.LittleEndian.PutUint32(header, 1) // a row
	ok(t, c.s.CopyIn(c.batch.Header, header))
	ok(t, c.s.Memset(c.out.Ptr, 0, 4*sumCols))
	c.set(t, 1)
	return c
}

// set makes x[i] = scale * i.
func (c *sum) set(t testing.TB, scale float32) {
	t.Helper()
	ok(t, c.s.Sync()) // in is free again
	for i := range sumCols {
		binary.LittleEndian.PutUint32(c.in[4*i:], math.Float32bits(scale*float32(i)))
	}
	ok(t, c.s.CopyIn(c.x.Ptr, c.in))
}

// expect checks out[i] == scale * i.
func (c *sum) expect(t testing.TB, scale float32) {
	t.Helper()
	ok(t, c.s.CopyOut(c.result, c.out.Ptr))
	ok(t, c.s.Sync())
	for i := range sumCols {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(c.result[4*i:])); got != scale*float32(i) {
			t.Fatalf("out[%d] = %g, want %g", i, got, scale*float32(i))
		}
	}
}

// launches are n additions of x, enqueued as one.
func (c *sum) launches(t testing.TB, n int) *cuda.Launches {
	t.Helper()
	var all []kernels.Launch
	for range n {
		all = append(all, must(kernels.Add(c.batch, 1, c.out, c.x))(t))
	}
	l := must(cuda.NewLaunches(must(c.m.Bind(all...))(t)))(t)
	t.Cleanup(l.Free)
	if l.Len() != n {
		t.Errorf("%d launches of %d", l.Len(), n)
	}
	return l
}

func TestABatchOfLaunchesRunsWholeAndInOrder(t *testing.T) {
	c := newSum(t)
	l := c.launches(t, 3)
	ok(t, c.s.Launch(l))
	c.expect(t, 3)
	c.set(t, 2)
	ok(t, c.s.Launch(l))
	c.expect(t, 3+6)
	none := must(cuda.NewLaunches(nil))(t)
	ok(t, c.s.Launch(none))
	none.Free()
}

func TestAKernelGetsMoreSharedMemoryThanEveryKernelMayHave(t *testing.T) {
	c := newSum(t)
	bound := must(c.m.Bind(must(kernels.Add(c.batch, 1, c.out, c.x))(t)))(t)
	var most *cuda.Launches
	for i, bytes := range []uint32{96 << 10, 64 << 10, 48 << 10} {
		bound[0].Shared = bytes
		l := must(cuda.NewLaunches(bound))(t)
		defer l.Free()
		ok(t, c.s.Launch(l))
		c.expect(t, float32(i+1))
		if i == 0 {
			most = l
		}
	}
	ok(t, c.s.Launch(most)) // asking for less takes nothing away
	c.expect(t, 4)
	bound[0].Shared = 16 << 20
	_, err := cuda.NewLaunches(bound)
	var e *cuda.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Call, "cuFuncSetAttribute(add_f32_f32") || e.Code != 1 {
		t.Errorf("16 MiB of shared memory: %v", err)
	}
}

func TestErrorsNameTheCallAndTheCode(t *testing.T) {
	c := newSum(t)
	var e *cuda.Error
	_, err := c.m.Function("no_such_kernel")
	if !errors.As(err, &e) || e.Call != "cuModuleGetFunction(no_such_kernel)" || e.Code != 500 || e.Name != "CUDA_ERROR_NOT_FOUND" || e.Text == "" {
		t.Errorf("%v", err)
	}
	add, cast := must(kernels.Add(c.batch, 1, c.out, c.x))(t), must(kernels.Cast(c.batch, 1, c.out, c.x))(t)
	bound := must(c.m.Bind(cast, add, cast))(t)
	bound[1].Block = [3]uint32{2048, 1, 1}
	l := must(cuda.NewLaunches(bound))(t)
	defer l.Free()
	err = c.s.Launch(l)
	if !errors.As(err, &e) || e.Call != "cuLaunchKernel(add_f32_f32)" || e.Code != 1 || e.Name != "CUDA_ERROR_INVALID_VALUE" {
		t.Errorf("%v", err)
	}
	if cuda.Sticky(err) || c.d.Lost() {
		t.Error("a refused launch loses the context")
	}
	c.expect(t, 1) // the launch before it was enqueued, the one behind it was not
	if _, err := c.m.Bind(kernels.Launch{Kernel: "add_f32_f32"}); err == nil {
		t.Error("a launch without threads was bound")
	}
}

func TestAGraphReplaysAndTakesOtherArguments(t *testing.T) {
	c := newSum(t)
	l := c.launches(t, 2)
	graph := must(c.s.Capture(func() error {
		if err := c.s.CopyIn(c.x.Ptr, c.in); err != nil {
			return err
		}
		return c.s.Launch(l)
	}))(t)
	exec := must(graph.Instantiate())(t)
	ok(t, graph.Close())
	c.expect(t, 0) // nothing has run
	ok(t, c.s.LaunchGraph(exec))
	c.expect(t, 2)
	// The graph's copy reads the pinned memory anew.
	for i := range sumCols {
		binary.LittleEndian.PutUint32(c.in[4*i:], math.Float32bits(float32(10*i)))
	}
	ok(t, c.s.LaunchGraph(exec))
	ok(t, c.s.LaunchGraph(exec))
	c.expect(t, 2+40)

	// The same work with another source.
	other := c.x
	other.Ptr = alloc(t, c.d, 4*sumCols)
	ok(t, c.s.Memset(other.Ptr, 0, 4*sumCols))
	add := must(kernels.Add(c.batch, 1, c.out, other))(t)
	replaced := must(cuda.NewLaunches(must(c.m.Bind(add, add))(t)))(t)
	second := must(c.s.Capture(func() error {
		return errors.Join(c.s.CopyIn(c.x.Ptr, c.in), c.s.Launch(replaced))
	}))(t)
	replaced.Free()
	ok(t, exec.Update(second))
	ok(t, second.Close())
	ok(t, c.s.LaunchGraph(exec))
	c.expect(t, 42)

	// Other work is refused and changes nothing.
	third := must(c.s.Capture(func() error { return c.s.Memset(c.out.Ptr, 0, 4*sumCols) }))(t)
	var e *cuda.Error
	if err := exec.Update(third); !errors.As(err, &e) || e.Call != "cuGraphExecUpdate" || e.Code != 910 {
		t.Errorf("%v", err)
	}
	ok(t, third.Close())
	ok(t, c.s.LaunchGraph(exec))
	c.expect(t, 42)
	ok(t, exec.Close())
}

func TestACaptureThatFailsLeavesTheStreamUsable(t *testing.T) {
	c := newSum(t)
	l := c.launches(t, 1)
	ours := errors.New("ours")
	if _, err := c.s.Capture(func() error { return errors.Join(c.s.Launch(l), ours) }); !errors.Is(err, ours) {
		t.Errorf("%v", err)
	}
	// Memory that is not pinned may be gone when the graph runs.
	err := must2(c.s.Capture(func() error { return c.s.CopyIn(c.x.Ptr, make([]byte, 4)) }))
	if err == nil || !strings.Contains(err.Error(), "not pinned") {
		t.Errorf("a captured copy from Go's memory: %v", err)
	}
	err = must2(c.s.Capture(func() error { return c.s.CopyOut(make([]byte, 4), c.x.Ptr) }))
	if err == nil || !strings.Contains(err.Error(), "not pinned") {
		t.Errorf("a captured copy to Go's memory: %v", err)
	}
	ok(t, c.s.CopyIn(c.out.Ptr, make([]byte, 4*sumCols))) // any memory, for it does not capture
	ok(t, c.s.Launch(l))
	c.expect(t, 1)
}

func must2[T any](_ T, err error) error { return err }

func TestTheHotCallsAllocateNothing(t *testing.T) {
	c := newSum(t)
	l := c.launches(t, 20)
	graph := must(c.s.Capture(func() error { return c.s.Launch(l) }))(t)
	exec := must(graph.Instantiate())(t)
	for name, call := range map[string]func() error{
		"Launch": func() error { return c.s.Launch(l) }, "LaunchGraph": func() error { return c.s.LaunchGraph(exec) },
		"CopyIn": func() error { return c.s.CopyIn(c.x.Ptr, c.in) }, "CopyOut": func() error { return c.s.CopyOut(c.result, c.out.Ptr) },
		"Sync": c.s.Sync,
	} {
		var err error
		if n := testing.AllocsPerRun(10, func() { err = errors.Join(err, call()) }); n != 0 || err != nil {
			t.Errorf("%s: %g allocations, %v", name, n, err)
		}
	}
	ok(t, c.s.Sync())
	ok(t, exec.Close())
	ok(t, graph.Close())
}

// A launch that reads what is nobody's loses the context; closing the device and
// opening it anew gives a sound one, even while another one has not let go of it.
func TestAFaultIsStickyAndANewDeviceIsSound(t *testing.T) {
	open(t, 0)
	t.Run("lost", func(t *testing.T) {
		c := newSum(t)
		wild := c.x
		wild.Ptr = 1 << 44
		l := must(cuda.NewLaunches(must(c.m.Bind(must(kernels.Add(c.batch, 1, c.out, wild))(t)))(t)))(t)
		defer l.Free()
		err := errors.Join(c.s.Launch(l), c.s.Sync())
		var e *cuda.Error
		if !cuda.Sticky(err) || !c.d.Lost() || !errors.As(err, &e) || e.Code != 700 || e.Name != "CUDA_ERROR_ILLEGAL_ADDRESS" {
			t.Fatalf("%v", err)
		}
		if err := c.s.Memset(c.out.Ptr, 0, 4); !cuda.Sticky(err) {
			t.Errorf("the context works on: %v", err)
		}
	})
	t.Run("anew", func(t *testing.T) {
		c := newSum(t)
		ok(t, c.s.Launch(c.launches(t, 1)))
		c.expect(t, 1)
	})
}

func TestTwoDevicesWorkAtOnceEachOnItsThread(t *testing.T) {
	d := open(t, 0)
	if len(must(cuda.Devices())(t)) < 2 {
		t.Skip("there is one device")
	}
	if _, err := d.CanAccessPeer(1); err != nil {
		t.Error(err)
	}
	for i := range 2 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			d := open(t, i)
			s := stream(t, d)
			p := alloc(t, d, 1000)
			got := pinned(t, d, 1000)
			ok(t, s.Memset(p, byte(i+1), 1000))
			ok(t, s.CopyOut(got, p))
			ok(t, s.Sync())
			for _, b := range got {
				if b != byte(i+1) {
					t.Fatalf("device %d has %d", i, b)
				}
			}
		})
	}
}
