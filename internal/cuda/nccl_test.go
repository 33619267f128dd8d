//go:build cuda && cgo && linux

package cuda_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/cuda/cudatest"
)

func openNCCL(t testing.TB) *cuda.NCCL {
	t.Helper()
	if missing != "" {
		t.Skip(missing)
	}
	if n := len(must(cuda.Devices())(t)); n < 2 {
		t.Skipf("there are %d devices", n)
	}
	path := os.Getenv("REASOND_NCCL")
	if path == "" && cudatest.Present() {
		path = cudatest.NCCL(t)
	}
	n, err := cuda.OpenNCCL(path)
	if errors.Is(err, cuda.ErrNoNCCL) && !cudatest.Present() {
		t.Skip(err)
	}
	ok(t, err)
	return n
}

// ranks runs two ranks of a group, each a test of its own with its device.
func ranks(t *testing.T, n *cuda.NCCL, f func(t *testing.T, d *cuda.Device, c *cuda.Comm)) {
	t.Helper()
	id := must(n.UniqueID())(t)
	t.Run("ranks", func(t *testing.T) {
		for rank := range 2 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				d := open(t, rank)
				f(t, d, must(n.NewComm(d, id, rank, 2))(t))
			})
		}
	})
}

func TestRanksReduceAndGather(t *testing.T) {
	const count = 1000
	ranks(t, openNCCL(t), func(t *testing.T, d *cuda.Device, c *cuda.Comm) {
		s := stream(t, d)
		for _, narrow := range []bool{false, true} {
			kind := cuda.Float32
			if narrow {
				kind = cuda.BFloat16
			}
			values := make([]float32, count)
			for i := range values {
				values[i] = float32((c.Rank + 1) * (i % 80))
			}
			x := upload(t, d, s, values, narrow)
			both := upload(t, d, s, make([]float32, 2*count), narrow)
			ok(t, c.AllGather(s, x.at, both.at, count, kind))
			// In place, and out of a graph.
			graph := must(s.Capture(func() error { return c.AllReduce(s, x.at, x.at, count, kind) }))(t)
			exec := must(graph.Instantiate())(t)
			ok(t, s.LaunchGraph(exec))
			sum := x.download(t, s, count, narrow)
			gathered := both.download(t, s, 2*count, narrow)
			for i := range count {
				v := float32(i % 80)
				if sum[i] != 3*v || gathered[i] != v || gathered[count+i] != 2*v {
					t.Fatalf("rank %d at %d: sum %g, gathered %g and %g, want 3, 1 and 2 times %g", c.Rank, i, sum[i], gathered[i], gathered[count+i], v)
				}
			}
			ok(t, exec.Close())
			ok(t, graph.Close())
		}
		ok(t, c.Err())
		ok(t, c.Close())
		ok(t, c.Close()) // again does nothing
		if err := c.AllReduce(s, 0, 0, 1, cuda.Float32); err == nil {
			t.Error("a rank that has left reduces")
		}
	})
}

// One rank never comes; the other's wait ends when its group is aborted from
// another thread.
func TestAbortEndsAWaitForARankThatDoesNotCome(t *testing.T) {
	var once sync.Once
	absent := make(chan struct{})
	ranks(t, openNCCL(t), func(t *testing.T, d *cuda.Device, c *cuda.Comm) {
		if c.Rank == 1 {
			<-absent // keeps its device; takes no part
			ok(t, c.Abort())
			return
		}
		s := stream(t, d)
		x := alloc(t, d, 4)
		ok(t, s.Memset(x, 0, 4))
		ok(t, c.AllReduce(s, x, x, 1, cuda.Float32))
		aborted := make(chan error)
		go func() { aborted <- c.Abort() }()
		_ = s.Sync() // comes back, with or without an error
		ok(t, <-aborted)
		once.Do(func() { close(absent) })
	})
}

func TestNCCLErrorsNameTheCall(t *testing.T) {
	if _, err := cuda.OpenNCCL("/nonexistent/libnccl.so.2"); !errors.Is(err, cuda.ErrNoNCCL) {
		t.Errorf("%v", err)
	}
	n := openNCCL(t)
	d := open(t, 0)
	id := must(n.UniqueID())(t)
	_, err := n.NewComm(d, id, 5, 2)
	var e *cuda.Error
	if !errors.As(err, &e) || e.Call != "ncclCommInitRank" || e.Code != 4 || !strings.Contains(err.Error(), "ncclInvalidArgument (4): ") || cuda.Sticky(err) {
		t.Errorf("%v", err)
	}
	if n.Version() < 20000 {
		t.Errorf("version %d", n.Version())
	}
}
