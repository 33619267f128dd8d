// Package safetensors reads one .safetensors file held in memory. A file is
// hostile until every number in its header has been compared with what is
// really there. The package knows neither models nor other files.
//
// Layout:
//
//	header length u64 little-endian | JSON header, padded with spaces | data
//	header: { "name": { "dtype": "BF16", "shape": [o, i], "data_offsets": [from, to] }, …, "__metadata__": { … } }
//
// Offsets count from the start of data. As in the format's own library the
// tensors fill the data without gaps or overlaps.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/reasond/reasond/internal/weights/quant"
)

const (
	maxHeader = 100_000_000 // bytes, as in the format's own library
	maxRank   = 8
)

// Tensor is an entry of the header with its bytes.
type Tensor struct {
	Name  string
	DType quant.DType // one of dtypes
	Shape []int
	Data  []byte // aliases the parsed bytes; exactly the shape's length
}

// File is a parsed file.
type File struct {
	Tensors []Tensor // by position in the file
	index   map[string]int
}

// Tensor is the tensor of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// dtypes are the formats that are read, by their names in the header.
var dtypes = map[string]quant.DType{
	"F32": quant.F32, "F16": quant.F16, "BF16": quant.BF16, "F8_E4M3": quant.F8E4M3,
	"U8": quant.U8, "I32": quant.I32, "I64": quant.I64,
}

// Parse checks the whole header. The tensors alias data, which must not change.
// An error is one line that names the tensor at fault.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("safetensors: %d bytes are too short for a header", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	if length > maxHeader {
		return nil, fmt.Errorf("safetensors: a header of %d bytes, at most %d are read", length, maxHeader)
	}
	if length > uint64(len(data)-8) {
		return nil, fmt.Errorf("safetensors: a header of %d bytes, the file has %d more", length, len(data)-8)
	}
	header, body := data[8:8+length], data[8+length:]
	entries, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	return place(entries, body)
}

// span is a header entry before it is placed.
type span struct {
	name     string
	dtype    quant.DType
	shape    []int
	from, to uint64
}

// parseHeader reads the entries; it goes token by token because a map would
// hide a name that is there twice.
func parseHeader(header []byte) ([]span, error) {
	header = bytes.TrimRight(header, " ")
	dec := json.NewDecoder(bytes.NewReader(header))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, fmt.Errorf("safetensors: the header is not a JSON object")
	}
	var spans []span
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("safetensors: header: %w", err)
		}
		name, _ := tok.(string)
		if seen[name] {
			return nil, fmt.Errorf("safetensors: tensor %.80q is there twice", name)
		}
		seen[name] = true
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("safetensors: header at %.80q: %w", name, err)
		}
		if name == "__metadata__" {
			continue
		}
		s, err := parseEntry(name, raw)
		if err != nil {
			return nil, fmt.Errorf("safetensors: tensor %.80q: %w", name, err)
		}
		spans = append(spans, s)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("safetensors: the header is cut short")
	}
	if dec.InputOffset() != int64(len(header)) {
		return nil, fmt.Errorf("safetensors: more than a JSON object in the header")
	}
	return spans, nil
}

func parseEntry(name string, raw json.RawMessage) (span, error) {
	var e struct {
		DType   *string  `json:"dtype"`
		Shape   []uint64 `json:"shape"`
		Offsets []uint64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return span{}, err
	}
	if e.DType == nil || e.Shape == nil || e.Offsets == nil {
		return span{}, fmt.Errorf("dtype, shape or data_offsets is missing")
	}
	dtype, ok := dtypes[*e.DType]
	if !ok {
		return span{}, fmt.Errorf("dtype %.20q is not supported (F32, F16, BF16, F8_E4M3, U8, I32 and I64 are)", *e.DType)
	}
	if len(e.Shape) > maxRank {
		return span{}, fmt.Errorf("%d dimensions, at most %d are read", len(e.Shape), maxRank)
	}
	if len(e.Offsets) != 2 || e.Offsets[1] < e.Offsets[0] {
		return span{}, fmt.Errorf("data_offsets %v are not [from, to]", e.Offsets)
	}
	size := uint64(dtype.BlockBytes())
	shape := make([]int, len(e.Shape))
	for i, n := range e.Shape {
		hi, lo := bits.Mul64(size, n)
		if n > math.MaxInt32 || hi != 0 || lo > math.MaxInt {
			return span{}, fmt.Errorf("shape %v is too large", e.Shape)
		}
		shape[i], size = int(n), lo
	}
	if got := e.Offsets[1] - e.Offsets[0]; got != size {
		return span{}, fmt.Errorf("shape %v of %s takes %d bytes, data_offsets hold %d", e.Shape, dtype, size, got)
	}
	return span{name: name, dtype: dtype, shape: shape, from: e.Offsets[0], to: e.Offsets[1]}, nil
}

// place gives each entry its bytes and holds the entries to filling the data.
func place(spans []span, body []byte) (*File, error) {
	slices.SortStableFunc(spans, func(a, b span) int {
		if a.from != b.from {
			return cmp.Compare(a.from, b.from)
		}
		return cmp.Compare(a.to, b.to)
	})
	f := &File{index: make(map[string]int, len(spans))}
	end := uint64(0)
	for _, s := range spans {
		switch {
		case s.to > uint64(len(body)):
			return nil, fmt.Errorf("safetensors: tensor %.80q ends at byte %d of %d", s.name, s.to, len(body))
		case s.from < end:
			return nil, fmt.Errorf("safetensors: tensor %.80q overlaps the one before it", s.name)
		case s.from > end:
			return nil, fmt.Errorf("safetensors: a gap before tensor %.80q", s.name)
		}
		end = s.to
		f.index[s.name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, Tensor{Name: s.name, DType: s.dtype, Shape: s.shape, Data: body[s.from:s.to:s.to]})
	}
	if end != uint64(len(body)) {
		return nil, fmt.Errorf("safetensors: %d bytes after the last tensor", uint64(len(body))-end)
	}
	return f, nil
}
