package cpu

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// linear is a packed weight matrix.
type linear struct {
	*kernels.Linear
	name  string
	gated bool
	// unfused: gate and up differ in format, so they are two plain matrices and
	// their product is an op of its own.
	unfused bool
	vocab   backend.VocabPart
}

// out is the width of the op's result.
func (l *linear) out() int {
	if l.unfused {
		return l.Out / 2
	}
	return l.Out
}

// packKey finds a tensor that was packed before: the LM head that is the
// embedding.
type packKey struct {
	data  *byte
	bytes int
	name  string
	dtype weights.DType
}

// NewVector implements backend.Backend.
func (b *Backend) NewVector(t weights.Tensor) (backend.Vector, error) {
	if len(t.Shape) != 1 || t.Cols() == 0 {
		return 0, fmt.Errorf("cpu: vector %q has shape %v", t.Name, t.Shape)
	}
	v, err := b.machine.Floats(t.Cols())
	if err != nil {
		return 0, err
	}
	t.Row(v, 0)
	b.vectors = append(b.vectors, v)
	b.account(t, int64(4*len(v)))
	return backend.Vector(len(b.vectors) - 1), nil
}

func (b *Backend) account(t weights.Tensor, packed int64) {
	b.fileBytes += t.Bytes()
	b.weightBytes += packed
}

// NewLinear implements backend.Backend. Data is read here and not kept.
func (b *Backend) NewLinear(s backend.LinearSpec) (backend.Linear, error) {
	if err := b.checkSpec(s); err != nil {
		return 0, fmt.Errorf("cpu: linear %q: %w", s.Name, err)
	}
	key, single := keyOf(s)
	if l, ok := b.packed[key]; single && ok {
		return l, nil
	}
	l, err := b.pack(s, b.layout(s))
	if err != nil {
		return 0, fmt.Errorf("cpu: linear %q: %w", s.Name, err)
	}
	b.linears = append(b.linears, l)
	handle := backend.Linear(len(b.linears) - 1)
	if single {
		b.packed[key] = handle
	}
	return handle, nil
}

func keyOf(s backend.LinearSpec) (packKey, bool) {
	if len(s.Parts) != 1 || s.Bias != nil || len(s.Parts[0].Data) == 0 {
		return packKey{}, false
	}
	p := s.Parts[0]
	return packKey{&p.Data[0], len(p.Data), p.Name, p.DType}, true
}

// checkSpec refuses what is no matrix, or none that has kernels here.
func (b *Backend) checkSpec(s backend.LinearSpec) error {
	if err := s.Check(); err != nil {
		return err
	}
	if s.Vocab.Total > 0 && (b.group == nil || len(s.Parts) != 1) {
		return fmt.Errorf("%d parts of a vocabulary of %d from %d on", len(s.Parts), s.Vocab.Total, s.Vocab.First)
	}
	for _, p := range s.Parts {
		if p.DType.Integer() {
			return fmt.Errorf("part %q: weights of %s", p.Name, p.DType)
		}
	}
	return nil
}

// place says where a part went: matrix and first row of it, or its up half, and
// in which form.
type place struct {
	mat, row int
	up       bool
	form     weights.DType
}

// layout is how a spec's parts lie in matrices.
type layout struct {
	mats   []kernels.Part
	places []place
	fused  bool // gate and up are one gated matrix
}

// layout joins neighbouring parts of one form into one matrix, so that no part
// is padded alone.
func (b *Backend) layout(s backend.LinearSpec) layout {
	forms := b.forms(s.Parts)
	if s.Gated && forms[0] == forms[1] {
		return layout{[]kernels.Part{{Format: int(forms[0]), Rows: s.Parts[0].Rows()}}, []place{{form: forms[0]}, {up: true, form: forms[0]}}, true}
	}
	return joined(s, forms)
}

// joined is the layout of parts side by side, gate and up included.
func joined(s backend.LinearSpec, forms []weights.DType) layout {
	var l layout
	for i, p := range s.Parts {
		last := len(l.mats) - 1
		if last < 0 || l.mats[last].Format != int(forms[i]) {
			l.mats = append(l.mats, kernels.Part{Format: int(forms[i])})
			last++
		}
		l.places = append(l.places, place{mat: last, row: l.mats[last].Rows, form: forms[i]})
		l.mats[last].Rows += p.Rows()
	}
	return l
}

func (b *Backend) pack(s backend.LinearSpec, at layout) (*linear, error) {
	k, err := b.machine.NewLinear(at.mats, s.Parts[0].Cols(), at.fused)
	if err != nil {
		return nil, err
	}
	l := &linear{Linear: k, name: s.Name, gated: s.Gated, unfused: s.Gated && !at.fused, vocab: s.Vocab}
	for i, p := range s.Parts {
		packPart(k, at.places[i], p)
		b.account(p, 0)
		if s.Bias == nil || len(s.Bias[i].Shape) == 0 {
			continue
		}
		if err := k.SetBias(b.machine, at.places[i].mat, s.Bias[i].Float32(), at.places[i].row, at.places[i].up); err != nil {
			return nil, err
		}
		b.account(s.Bias[i], 4*int64(p.Rows()))
	}
	b.weightBytes += k.Bytes
	return l, nil
}

// packPart packs a tensor's rows on all cores.
func packPart(k *kernels.Linear, at place, t weights.Tensor) {
	const rows = 64
	var wait sync.WaitGroup
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	step := max(rows, (t.Rows()/cap(limit)/4+rows-1)/rows*rows)
	for r := 0; r < t.Rows(); r += step {
		limit <- struct{}{}
		wait.Go(func() {
			count := min(step, t.Rows()-r)
			k.Pack(at.mat, at.row+r, count, rowsIn(at.form, t, r, r+count), at.up)
			<-limit
		})
	}
	wait.Wait()
}

// NewBuffer implements backend.Backend.
func (b *Backend) NewBuffer(cols int) (backend.Buffer, error) {
	if cols < 1 {
		return 0, fmt.Errorf("cpu: a buffer of %d columns", cols)
	}
	buf, err := b.machine.NewBuffer(b.cfg.MaxRows, cols)
	if err != nil {
		return 0, err
	}
	b.buffers = append(b.buffers, buf)
	return backend.Buffer(len(b.buffers) - 1), nil
}

// NewKV implements backend.Backend.
func (b *Backend) NewKV(layers, kvHeads, headDim int) error {
	if layers < 1 || kvHeads < 1 || headDim < 1 || headDim > kernels.MaxHeadDim || headDim%16 != 0 {
		return fmt.Errorf("cpu: KV of %d layers, %d heads of %d; a head is a multiple of 16, at most %d", layers, kvHeads, headDim, kernels.MaxHeadDim)
	}
	if b.kv != nil || b.latents.layers > 0 {
		return errOneKV
	}
	kv, err := b.machine.NewKV(layers, b.cfg.Pages, kvHeads, headDim, headDim)
	if err != nil {
		return err
	}
	b.kv, b.kvHeads, b.headDim = kv, kvHeads, headDim
	b.kvBytes = 2 * b.element() * int64(layers) * int64(b.cfg.Pages) * int64(kvHeads*headDim*backend.PageTokens)
	return nil
}

// element is the bytes of an element of KV.
func (b *Backend) element() int64 {
	if b.cfg.Float32 {
		return 4
	}
	return 2
}

// alias makes a slice of T over elements of the same layout.
func alias[T, F any](from []F) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(from))), len(from))[:0]
}
