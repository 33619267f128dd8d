//go:build cuda && cgo && linux

package cuda

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// stack is matrices of one layout behind each other.
type stack struct {
	count   int
	out, in int // of one of them; out counts pairs of gate and up rows
	gated   bool
	weights kernels.Weights
}

// pack packs a matrix and brings it to the device.
func (b *Backend) pack(s backend.LinearSpec) (*linear, error) {
	w, err := b.packAll([]backend.LinearSpec{s})
	if err != nil {
		return nil, err
	}
	l := &linear{name: s.Name, in: w.In, out: w.Out, gated: s.Gated, vocab: s.Vocab, weights: w}
	if l.vocab.Total == 0 {
		l.vocab.Total = l.out
	}
	l.bias, err = b.packBias(s, w)
	return l, err
}

// NewStack implements backend.Backend. Data is read here and not kept.
func (b *Backend) NewStack(specs []backend.LinearSpec) (backend.Stack, error) {
	if len(specs) == 0 {
		return 0, errors.New("cuda: a stack of no matrices")
	}
	w, err := b.packAll(specs)
	if err != nil {
		return 0, fmt.Errorf("cuda: stack %q: %w", specs[0].Name, err)
	}
	b.stacks = append(b.stacks, &stack{count: w.Count, in: w.In, out: w.Out, gated: w.Gated, weights: w})
	return backend.Stack(len(b.stacks) - 1), nil
}

// packAll packs matrices of one layout, one at a time, into one piece of memory.
func (b *Backend) packAll(specs []backend.LinearSpec) (w kernels.Weights, err error) {
	if err := b.enter(); err != nil {
		return w, err
	}
	defer b.leave()
	var packed []byte
	for i, s := range specs {
		if err := s.Check(); err != nil {
			return w, err
		}
		m := kernels.Matrix{Parts: s.Parts, Bias: s.Bias, Gated: s.Gated}
		if i == 0 {
			if w.Layout, err = kernels.NewLayout(m); err != nil {
				return w, err
			}
			w.Count = len(specs)
			if err := b.mem.make(&w.Ptr, weightMemory, int64(w.Count)*w.Bytes); err != nil {
				return w, err
			}
			packed = make([]byte, w.Bytes)
		}
		if err := w.Pack(packed, m); err != nil {
			return w, err
		}
		if err := b.mem.copyIn(w.Ptr+kernels.Ptr(int64(i)*w.Bytes), packed); err != nil {
			return w, err
		}
		b.account(s)
	}
	return w, nil
}

// account adds the matrix's bytes in the file.
func (b *Backend) account(s backend.LinearSpec) {
	for i, t := range s.Parts {
		b.fileBytes += t.Bytes()
		if s.Bias != nil {
			b.fileBytes += int64(len(s.Bias[i].Data))
		}
	}
}

// packBias gives what dense products add: the bias of all rows behind each
// other, in the product's type. A gated matrix's lies as its rows do, and is
// added by the activation.
func (b *Backend) packBias(s backend.LinearSpec, w kernels.Weights) (out bias, err error) {
	if w.Parts[0].Bias < 0 {
		return bias{}, nil
	}
	out.float = w.Ptr + kernels.Ptr(w.Parts[0].Bias)
	if s.Gated {
		return out, nil
	}
	var values []float32
	for i, t := range s.Parts {
		row := make([]float32, t.Rows())
		if s.Bias != nil && len(s.Bias[i].Shape) > 0 {
			copy(row, s.Bias[i].Float32())
		}
		values = append(values, row...)
	}
	if len(w.Parts) > 1 {
		if out.float, err = b.floats(weightMemory, values); err != nil {
			return out, err
		}
	}
	if b.blas == nil {
		return out, nil
	}
	half := make([]byte, 0, 2*len(values))
	for _, v := range values {
		half = binary.LittleEndian.AppendUint16(half, bfloat16(v))
	}
	if err := b.enter(); err != nil {
		return out, err
	}
	defer b.leave()
	out.half, err = b.mem.upload(weightMemory, half)
	return out, err
}

// bfloat16 rounds to nearest, ties to even; a NaN stays one.
func bfloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
