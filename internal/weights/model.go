// Package weights opens a model: a Hugging Face folder of safetensors or one
// GGUF file, mapped into memory, under one vocabulary of tensor names and
// configuration keys, Hugging Face's. It owns element formats, name mapping and
// the cutting of tensors for tensor parallelism; it refuses to know what an
// architecture computes, and never fetches anything (package hub does).
package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/reasond/reasond/internal/weights/gguf"
)

// The values of Model.Format.
const (
	FormatSafetensors = "safetensors"
	FormatGGUF        = "gguf"
)

// Model is an opened model folder or file. It is read only and may be shared.
type Model struct {
	Path   string // as it was given to Open, or the name given to OpenFS
	Format string // FormatSafetensors or FormatGGUF

	// Config is config.json. For a GGUF file it is made from the metadata with
	// Hugging Face's keys, see ggufConfig.
	Config json.RawMessage
	// Generation is generation_config.json, nil where there is none.
	Generation json.RawMessage
	// Meta is the GGUF file: tokenizer.ggml.* arrays, tokenizer.chat_template.
	// It is nil for a folder.
	Meta *gguf.File
	// FS is the folder (tokenizer.json, tokenizer_config.json, …), nil for GGUF.
	FS fs.FS

	tensors map[string]*entry
	total   int64
	maps    []mapping
}

// entry is a tensor under its canonical name.
type entry struct {
	tensor Tensor // as it lies in the file; without Data where make makes it
	make   func() Tensor
	raw    [][]byte // what make reads
}

// Tensor is the tensor of that canonical (Hugging Face) name. It aliases the
// file, or is a copy made anew by each call where the file has another layout:
// Q and K of a GGUF llama, whose rows are put into Hugging Face's order, packed
// int4 weights (int4.go), experts that lie in one tensor (experts.go).
func (m *Model) Tensor(name string) (Tensor, bool) {
	e, ok := m.tensors[name]
	if !ok {
		return Tensor{}, false
	}
	if e.make == nil {
		return e.tensor, true
	}
	t := e.make()
	t.Name = name
	return t, true
}

// Shape is the shape and format of a tensor without its data, for those who
// only describe.
func (m *Model) Shape(name string) (shape []int, dtype DType, ok bool) {
	e, ok := m.tensors[name]
	if !ok {
		return nil, 0, false
	}
	return e.tensor.Shape, e.tensor.DType, true
}

// Names lists the canonical tensor names, sorted.
func (m *Model) Names() []string { return slices.Sorted(maps.Keys(m.tensors)) }

// TotalBytes is the size of all tensors as they are in the file.
func (m *Model) TotalBytes() int64 { return m.total }

// Release says that t, got from Tensor, is not needed for now: the pages that
// it covers alone may leave memory. Reading it again is slow but right.
func (m *Model) Release(t Tensor) {
	raw := [][]byte{t.Data}
	if t.Scale != nil {
		raw = append(raw, t.Scale.Data)
	}
	if e, ok := m.tensors[t.Name]; ok {
		raw = append(raw, e.raw...)
	}
	for _, data := range raw {
		for i := range m.maps {
			if m.maps[i].release(data) {
				break
			}
		}
	}
}

// Close unmaps the files. No tensor's Data may be touched afterwards.
func (m *Model) Close() error {
	var errs []error
	for _, mp := range m.maps {
		errs = append(errs, mp.close())
	}
	m.maps, m.tensors = nil, nil
	return errors.Join(errs...)
}

// add enters a tensor under its canonical name and refuses a second one.
func (m *Model) add(name string, e *entry) error {
	if _, dup := m.tensors[name]; dup {
		return fmt.Errorf("tensor %.80q is there twice", name)
	}
	e.tensor.Name = name
	m.tensors[name] = e
	m.total += int64(len(e.tensor.Data))
	return nil
}

// replace enters e under name in place of tensors of the file that it is made
// of: they keep counting in TotalBytes, their names go.
func (m *Model) replace(name string, e *entry, made ...string) error {
	for _, part := range made {
		delete(m.tensors, part)
	}
	if _, dup := m.tensors[name]; dup {
		return fmt.Errorf("tensor %.80q is there twice", name)
	}
	e.tensor.Name = name
	m.tensors[name] = e
	return nil
}

// find is a tensor of the file that another one needs, with the number of
// dimensions and the format that it must have.
func (m *Model) find(name string, dims int, formats ...DType) (Tensor, error) {
	e, ok := m.tensors[name]
	if !ok {
		return Tensor{}, fmt.Errorf("tensor %.80q is missing", name)
	}
	if len(e.tensor.Shape) != dims || !slices.Contains(formats, e.tensor.DType) || slices.Contains(e.tensor.Shape, 0) {
		return Tensor{}, fmt.Errorf("tensor %.80q: %s of shape %v is not supported there", name, e.tensor.DType, e.tensor.Shape)
	}
	return e.tensor, nil
}
