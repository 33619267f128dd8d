//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/reasond/reasond/internal/backend"
	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Options is what a GPU needs to be told beside backend.Config. The zero value
// is the first device with its defaults.
type Options struct {
	Device int    // the driver's number
	Driver string // the driver's library; empty: the system's
	BLAS   string // cuBLASLt's library; empty: the system's; "none": do without
	// Memory is the share of the device's memory that may be used in all, where
	// Config.Pages is 0; 0: DefaultMemory.
	Memory float64
	// BatchInvariant cuts attention and sums the same way whatever other sequences
	// are in the batch, at some cost: they change no bit of a row. How its own
	// sequence is cut into chunks may.
	BatchInvariant bool
	// Comm joins the ranks of one model; nil: there is one.
	Comm Comm
}

// DefaultMemory is the share of memory that a server may use.
const DefaultMemory = 0.9

// Comm sums and gathers over the ranks of one model. Its methods enqueue on a
// stream, which may be capturing, and are called by every rank in the same
// order.
type Comm interface {
	Rank() int
	Size() int
	// AllReduce replaces n float32 or bfloat16 values at p by their sums.
	AllReduce(on *driver.Stream, p kernels.Ptr, n int, e kernels.Elem) error
	Close() error
}

// Backend is a backend.Backend; New makes it.
type Backend struct {
	cfg    backend.Config
	opt    Options
	mem    memory
	module *driver.Module
	stream *driver.Stream
	done   *driver.Event
	blas   *driver.BLAS // nil: none
	comm   Comm         // nil: one rank

	linears  []*linear
	packed   map[packKey]backend.Linear
	stacks   []*stack
	vectors  []*vector
	ropes    []*rope
	buffers  []*buffer
	scratch  []*buffer
	routings []*routing
	kv       kvCache

	built   bool
	ops     []op
	head    *headOp
	tokens  int // rows of the embedding, all ranks'
	vocab   int // rows of the LM head, all ranks'
	program program

	planner      *kernels.Planner // nil: no attention
	partials     kernels.Ptr      // what cut attention leaves, partialBytes
	partialBytes int64
	logits       kernels.Buffer // float32 [LogitRows][vocab]
	products     products

	batch    backend.Batch
	arena    *arena
	where    kernels.Batch // the arena on the device
	masks    []uint32      // pinned [MaxSeqs][MaskWords]
	masksAt  kernels.Ptr
	sampling *sampling
	step     step
	launches []*driver.Launches

	fileBytes int64
}

var _ backend.Backend = (*Backend)(nil)

// New makes an empty backend on a device. Where cfg.Pages is 0, Build makes as
// many as Options.Memory leaves room for; Info tells how many.
func New(opt Options, cfg backend.Config) (*Backend, error) {
	if cfg.Float32 {
		return nil, errors.New("cuda: float32 needs the CPU (--device cpu): a GPU computes in bfloat16")
	}
	if opt.Memory == 0 {
		opt.Memory = DefaultMemory
	}
	if opt.Memory < 0 || opt.Memory > 1 {
		return nil, fmt.Errorf("cuda: a share of %g of the memory, must be over 0 and at most 1", opt.Memory)
	}
	check := cfg
	check.Pages = max(cfg.Pages, 1)
	if err := check.Validate(); err != nil {
		return nil, err
	}
	if err := driver.Open(opt.Driver); err != nil {
		return nil, err
	}
	b := &Backend{cfg: cfg, opt: opt, comm: opt.Comm, packed: map[packKey]backend.Linear{}}
	if err := b.open(); err != nil {
		b.Close()
		return nil, fmt.Errorf("cuda: device %d: %w", opt.Device, lost(err))
	}
	return b, nil
}

// open makes the context and what belongs to it.
func (b *Backend) open() (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if b.mem.dev, err = driver.NewDevice(b.opt.Device); err != nil {
		return err
	}
	if b.stream, err = b.mem.dev.NewStream(); err != nil {
		return err
	}
	b.mem.stream = b.stream
	if b.mem.stage, err = b.mem.dev.Pinned(stageBytes); err != nil {
		return err
	}
	if b.done, err = b.mem.dev.NewEvent(false); err != nil {
		return err
	}
	if b.module, err = b.mem.dev.Load(kernels.Image()); err != nil {
		return err
	}
	if b.opt.BLAS != "none" {
		b.blas, err = driver.OpenBLAS(b.opt.BLAS)
		if err != nil && !(errors.Is(err, driver.ErrNoBLAS) && b.opt.BLAS == "") {
			return err
		}
	}
	return nil
}

// enter makes the device's context current on the calling thread, which it locks
// until leave. Every method that reaches the driver is between the two.
func (b *Backend) enter() error {
	runtime.LockOSThread()
	if err := b.mem.dev.MakeCurrent(); err != nil {
		runtime.UnlockOSThread()
		return lost(err)
	}
	return nil
}

func (b *Backend) leave() { runtime.UnlockOSThread() }

// Info implements backend.Backend.
func (b *Backend) Info() backend.Info {
	i := b.mem.dev.Info
	return backend.Info{
		Name: "cuda", ISA: fmt.Sprintf("%s, sm_%d%d", i.Name, i.Major, i.Minor), Vocab: b.vocab, Pages: b.cfg.Pages,
		WeightBytes: b.mem.used[weightMemory], FileBytes: b.fileBytes, KVBytes: b.mem.used[kvMemory],
	}
}

// Close implements backend.Backend. It waits for what is enqueued; after a lost
// device it frees what can be.
func (b *Backend) Close() error {
	if b.mem.dev == nil {
		return nil
	}
	err := b.enter()
	if err == nil {
		defer b.leave()
	}
	first := func(e error) {
		if err == nil {
			err = lost(e)
		}
	}
	gone := b.mem.dev.Lost()
	if gone {
		b.Abort() // the other ranks do not wait for this one
	} else {
		first(b.mem.dev.Sync())
		for i := range b.program.graphs {
			for _, exec := range b.program.graphs[i] {
				if exec != nil {
					first(exec.Close())
				}
			}
		}
		if b.comm != nil { // behind the graphs that hold its calls
			first(b.comm.Close())
		}
		if b.blas != nil {
			b.blas.Close()
		}
		first(b.mem.free())
		if b.module != nil {
			first(b.module.Unload())
		}
		if b.done != nil {
			first(b.done.Close())
		}
		if b.stream != nil {
			first(b.stream.Close())
		}
	}
	for _, l := range b.launches {
		l.Free()
	}
	first(b.mem.dev.Close())
	if gone {
		err = nil // it was reported when it was lost
	}
	*b = Backend{}
	return err
}
