// Package cpu is the backend on the CPU: it maps backend's handles, checks
// batches, fuses a few ops and has package kernels/cpu run the rest, a step in
// one native call. It is deterministic as the law in package backend says, for
// each instruction set.
package cpu

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/sample"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// Backend is a backend.Backend; New and NewWithISA make it.
type Backend struct {
	cfg     backend.Config
	machine *kernels.Machine
	linears []*linear
	packed  map[packKey]backend.Linear
	vectors [][]float32
	ropes   []rope
	turned  int // positions that the ropes are filled for
	buffers []kernels.Buffer
	kv      []kernels.KV
	kvHeads int
	headDim int

	stacks   []stack
	routings []routing
	latents  latents

	built  bool
	tokens int       // rows of the embedding
	vocab  int       // rows of the LM head
	logits []float32 // [MaxRows][logitsLD]
	ld     int
	rows   int // logits rows of the last step

	batch  backend.Batch
	arrays kernels.Batch // what batch's slices lie in
	slots  *sample.Slots
	row    func(int) []float32 // logitsRow, bound once
	group  *group              // nil: one rank

	weightBytes, fileBytes, kvBytes int64
}

var _ backend.Backend = (*Backend)(nil)

// New makes an empty backend with the best kernels that this machine runs.
func New(cfg backend.Config) (*Backend, error) { return NewWithISA(cfg, kernels.Best) }

// NewWithISA makes one with the kernels of an instruction set.
func NewWithISA(cfg backend.Config, isa kernels.ISA) (*Backend, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Threads == 0 {
		cfg.Threads = hostThreads()
	}
	copies := cfg.MaxCopies()
	m, err := kernels.New(kernels.Config{
		ISA: isa, Threads: cfg.Threads, Float32: cfg.Float32,
		MaxRows: cfg.MaxRows, MaxSeqs: cfg.MaxSeqs, MaxContext: cfg.MaxContext, MaxCopies: copies,
	})
	if err != nil {
		return nil, fmt.Errorf("backend: %w", err)
	}
	scanner, err := newScanner(m, cfg)
	if err != nil {
		return nil, fmt.Errorf("backend: %w", err)
	}
	b := &Backend{cfg: cfg, machine: m, packed: map[packKey]backend.Linear{}, slots: sample.NewSlots(cfg.MaxSeqs, scanner)}
	b.row = b.logitsRow
	b.newBatch()
	return b, nil
}

// Info implements backend.Backend.
func (b *Backend) Info() backend.Info {
	return backend.Info{
		Name: "cpu", ISA: b.machine.ISA().String(), Vocab: b.vocab, Threads: b.cfg.Threads,
		WeightBytes: b.weightBytes, FileBytes: b.fileBytes, KVBytes: b.kvBytes,
		Drafts: true,
	}
}

// Close implements backend.Backend.
func (b *Backend) Close() error {
	if b.machine != nil {
		b.machine.Close()
	}
	*b = Backend{}
	return nil
}
