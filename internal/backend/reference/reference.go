// Package reference is the backend in plain Go: the slow one that is plainly
// right, which other backends are compared with. It computes in float32 with
// float64 sums, dequantises weights to float32 at load, and checks everything
// that a Batch says before it acts on it. It runs on any machine.
//
// Every output element is summed in ascending order of its inputs, so results
// do not depend on rows, chunks, threads or page ids.
package reference

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/ranks"
	"github.com/reasond/reasond/internal/engine/sample"
	"github.com/reasond/reasond/internal/weights"
)

// Backend is the reference backend; New makes it.
type Backend struct {
	cfg     backend.Config
	linears []linear
	vectors [][]float32
	ropes   []rope
	buffers []buffer
	kv      kv

	stacks   []stack
	routings []routing
	latents  latents

	ops    []func() // the program; Forward runs them in order
	tokens int      // rows of the embedding
	vocab  int      // rows of the LM head
	logits []float32
	rows   int // logits rows of the last step, 0 after one that failed
	batch  backend.Batch
	slots  *sample.Slots
	group  *ranks.Meeting // nil: one rank
	fault  error          // a meeting did not come about
	rank   int

	weightBytes, fileBytes int64
}

var _ backend.Backend = (*Backend)(nil)

// linear is a weight matrix, float32, rows back to back.
type linear struct {
	name    string
	out, in int
	weight  []float32
	bias    []float32 // nil: none
	gated   bool      // out/2 rows of gate, then out/2 of up
	vocab   backend.VocabPart
}

// buffer holds MaxRows rows of activations.
type buffer struct {
	cols int
	data []float32
}

func (b buffer) row(r int) []float32 { return b.data[r*b.cols : (r+1)*b.cols] }

// New makes an empty backend. Config.Float32 makes no difference here.
func New(cfg backend.Config) (*Backend, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Threads == 0 {
		cfg.Threads = runtime.GOMAXPROCS(0)
	}
	pages := cfg.MaxContext / backend.PageTokens * cfg.MaxSeqs
	return &Backend{
		cfg:   cfg,
		slots: sample.NewSlots(cfg.MaxSeqs, nil),
		batch: backend.Batch{
			Token:     make([]int32, 0, cfg.MaxRows),
			Pos:       make([]int32, 0, cfg.MaxRows),
			Seq:       make([]int32, 0, cfg.MaxRows),
			Seqs:      make([]backend.Seq, 0, cfg.MaxSeqs),
			Pages:     make([]int32, 0, pages),
			Copies:    make([]backend.Copy, 0, cfg.MaxSeqs),
			LogitRows: make([]int32, 0, cfg.MaxRows),
			Samples:   make([]backend.Sample, 0, cfg.Samples()),
			Sampled:   make([]backend.Sampled, 0, cfg.Samples()),
		},
	}, nil
}

// Info implements backend.Backend.
func (b *Backend) Info() backend.Info {
	return backend.Info{
		Name: "reference", ISA: "go", Vocab: b.vocab, Threads: b.cfg.Threads,
		WeightBytes: b.weightBytes, FileBytes: b.fileBytes, KVBytes: b.kv.bytes() + 4*int64(len(b.latents.data)),
		Drafts: true,
	}
}

// NewVector implements backend.Backend.
func (b *Backend) NewVector(t weights.Tensor) (backend.Vector, error) {
	if len(t.Shape) != 1 {
		return 0, fmt.Errorf("reference: vector %q has shape %v", t.Name, t.Shape)
	}
	b.account(t)
	b.vectors = append(b.vectors, t.Float32())
	return backend.Vector(len(b.vectors) - 1), nil
}

// NewLinear implements backend.Backend.
func (b *Backend) NewLinear(s backend.LinearSpec) (backend.Linear, error) {
	l, err := b.pack(s)
	if err != nil {
		return 0, fmt.Errorf("reference: linear %q: %w", s.Name, err)
	}
	b.linears = append(b.linears, l)
	return backend.Linear(len(b.linears) - 1), nil
}

func (b *Backend) pack(s backend.LinearSpec) (linear, error) {
	l := linear{name: s.Name, gated: s.Gated, vocab: s.Vocab}
	if err := s.Check(); err != nil {
		return l, err
	}
	for i, p := range s.Parts {
		b.account(p)
		l.weight = append(l.weight, p.Float32()...)
		l.in, l.out = p.Cols(), l.out+p.Rows()
		if s.Bias == nil || len(s.Bias[i].Shape) == 0 {
			continue
		}
		b.account(s.Bias[i])
		l.bias = append(l.bias, make([]float32, l.out-p.Rows()-len(l.bias))...)
		l.bias = append(l.bias, s.Bias[i].Float32()...)
	}
	if l.bias != nil {
		l.bias = append(l.bias, make([]float32, l.out-len(l.bias))...)
	}
	if l.vocab.Total == 0 {
		l.vocab.Total = l.out
	}
	return l, nil
}

func (b *Backend) account(t weights.Tensor) {
	b.weightBytes += 4 * int64(t.Elements())
	b.fileBytes += t.Bytes()
}

// NewRope implements backend.Backend.
func (b *Backend) NewRope(s backend.RopeSpec) (backend.Rope, error) {
	if len(s.Inv) == 0 {
		return 0, errors.New("reference: a rotary table needs frequencies")
	}
	b.ropes = append(b.ropes, newRope(s, b.cfg.MaxContext))
	return backend.Rope(len(b.ropes) - 1), nil
}

// NewBuffer implements backend.Backend.
func (b *Backend) NewBuffer(cols int) (backend.Buffer, error) {
	if cols < 1 {
		return 0, fmt.Errorf("reference: a buffer of %d columns", cols)
	}
	b.buffers = append(b.buffers, buffer{cols, make([]float32, b.cfg.MaxRows*cols)})
	return backend.Buffer(len(b.buffers) - 1), nil
}

var errOneKV = errors.New("reference: a backend has one KV")

func (b *Backend) hasKV() bool { return b.kv.layers > 0 || b.latents.layers > 0 }

// NewKV implements backend.Backend.
func (b *Backend) NewKV(layers, kvHeads, headDim int) error {
	if layers < 1 || kvHeads < 1 || headDim < 1 {
		return fmt.Errorf("reference: KV of %d layers, %d heads of %d", layers, kvHeads, headDim)
	}
	if b.hasKV() {
		return errOneKV
	}
	b.kv = newKV(layers, b.cfg.Pages, kvHeads, headDim)
	return nil
}

// Build implements backend.Backend.
func (b *Backend) Build(model func(backend.Program)) error {
	p := &program{b: b}
	model(p)
	if p.err != nil {
		return p.err
	}
	b.ops = p.ops
	b.batch.MaskWords = (b.vocab + 31) / 32
	b.batch.Masks = make([]uint32, 0, b.cfg.Samples()*b.batch.MaskWords)
	return nil
}

// Batch implements backend.Backend.
func (b *Backend) Batch() *backend.Batch { return &b.batch }

// SetSlot implements backend.Backend. It panics on a slot that is not there.
func (b *Backend) SetSlot(slot int, s backend.Slot) { b.slots.Set(slot, s) }

// Forward implements backend.Backend.
func (b *Backend) Forward() error {
	b.rows = 0
	if b.ops == nil {
		return errors.New("reference: Forward before Build")
	}
	if err := b.batch.Check(b.cfg, b.tokens, b.slots.Last); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	for _, c := range b.batch.Copies {
		b.kv.copyPage(int(c.Src), int(c.Dst))
		b.latents.copyPage(int(c.Src), int(c.Dst))
	}
	for _, op := range b.ops {
		if op(); b.fault != nil {
			return fmt.Errorf("reference: %w", b.fault)
		}
	}
	b.rows = len(b.batch.LogitRows)
	return nil
}

// Sample implements backend.Backend.
func (b *Backend) Sample() error {
	if len(b.batch.LogitRows) > b.rows {
		return fmt.Errorf("reference: Sample of %d logits rows, Forward made %d", len(b.batch.LogitRows), b.rows)
	}
	return b.slots.Sample(&b.batch, b.logitsRow)
}

// Sync implements backend.Backend: nothing is ever pending.
func (b *Backend) Sync() error { return nil }

func (b *Backend) logitsRow(i int) []float32 { return b.logits[i*b.vocab : (i+1)*b.vocab] }

// LogitsRow implements backend.Backend.
func (b *Backend) LogitsRow(dst []float32, i int) error {
	if i < 0 || i >= b.rows || len(dst) != b.vocab {
		return fmt.Errorf("reference: logits row %d of %d into %d floats", i, b.rows, len(dst))
	}
	copy(dst, b.logitsRow(i))
	return nil
}

// Close implements backend.Backend.
func (b *Backend) Close() error {
	*b = Backend{}
	return nil
}
