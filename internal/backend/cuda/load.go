//go:build cuda && cgo && linux

package cuda

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// linear is a packed weight matrix.
type linear struct {
	name    string
	out, in int // out counts pairs of gate and up rows
	gated   bool
	vocab   backend.VocabPart // First 0, Total out where the matrix is whole
	weights kernels.Weights
	bias    bias
}

// packKey finds a tensor that was packed before: the LM head that is the
// embedding.
type packKey struct {
	data  *byte
	bytes int
	name  string
	dtype weights.DType
	vocab backend.VocabPart
}

// vector is float32.
type vector struct {
	n   int
	ptr kernels.Ptr
}

type rope struct{ kernels.Rope }

// NewVector implements backend.Backend.
func (b *Backend) NewVector(t weights.Tensor) (backend.Vector, error) {
	if len(t.Shape) != 1 || t.Cols() == 0 {
		return 0, fmt.Errorf("cuda: vector %q has shape %v", t.Name, t.Shape)
	}
	ptr, err := b.floats(weightMemory, t.Float32())
	if err != nil {
		return 0, fmt.Errorf("cuda: vector %q: %w", t.Name, err)
	}
	b.fileBytes += int64(len(t.Data))
	b.vectors = append(b.vectors, &vector{t.Cols(), ptr})
	return backend.Vector(len(b.vectors) - 1), nil
}

// floats uploads float32 values.
func (b *Backend) floats(what purpose, values []float32) (kernels.Ptr, error) {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	if err := b.enter(); err != nil {
		return 0, err
	}
	defer b.leave()
	return b.mem.upload(what, data)
}

// NewLinear implements backend.Backend. Data is read here and not kept.
func (b *Backend) NewLinear(s backend.LinearSpec) (backend.Linear, error) {
	key, single := keyOf(s)
	if l, ok := b.packed[key]; single && ok {
		return l, nil
	}
	l, err := b.pack(s)
	if err != nil {
		return 0, fmt.Errorf("cuda: linear %q: %w", s.Name, err)
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
	return packKey{&p.Data[0], len(p.Data), p.Name, p.DType, s.Vocab}, true
}

// NewRope implements backend.Backend.
func (b *Backend) NewRope(s backend.RopeSpec) (backend.Rope, error) {
	half := len(s.Inv)
	if half == 0 {
		return 0, errors.New("cuda: a rotary table needs frequencies")
	}
	cos, sin := make([]float32, b.cfg.MaxContext*half), make([]float32, b.cfg.MaxContext*half)
	for pos := range b.cfg.MaxContext {
		for i, inv := range s.Inv {
			y, x := math.Sincos(float64(pos) * inv)
			cos[pos*half+i], sin[pos*half+i] = float32(x*s.Scale), float32(y*s.Scale)
		}
	}
	r := &rope{kernels.Rope{Rotary: 2 * half, Interleaved: s.Interleaved}}
	var err error
	if r.Cos, err = b.floats(activationMemory, cos); err != nil {
		return 0, err
	}
	if r.Sin, err = b.floats(activationMemory, sin); err != nil {
		return 0, err
	}
	b.ropes = append(b.ropes, r)
	return backend.Rope(len(b.ropes) - 1), nil
}

// NewBuffer implements backend.Backend. Its memory is allocated by Build, which
// knows its type.
func (b *Backend) NewBuffer(cols int) (backend.Buffer, error) {
	if cols < 1 {
		return 0, fmt.Errorf("cuda: a buffer of %d columns", cols)
	}
	b.buffers = append(b.buffers, &buffer{cols: cols})
	return backend.Buffer(len(b.buffers) - 1), nil
}
