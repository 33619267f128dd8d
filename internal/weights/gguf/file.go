// Package gguf reads GGUF files, versions 2 and 3: metadata, tensor table and
// the tensors' bytes. A file is hostile until every length, count and offset in
// it has been compared with what is really there; the limits are one table. The
// package knows no architecture and no tokenizer.
//
// Layout, all little-endian:
//
//	"GGUF" | version u32 | tensors u64 | pairs u64
//	pairs   x ( key string | type u32 | value )
//	tensors x ( name string | dims u32 | dim u64 x dims | type u32 | offset u64 )
//	padding to the alignment | tensor data, each at its offset from here
//
// A string is a u64 length and its bytes; an array a type u32, a count u64 and
// its elements. Dimensions go from the fastest to the slowest.
package gguf

import "github.com/reasond/reasond/internal/weights/quant"

// Tensor is an entry of the tensor table with its bytes.
type Tensor struct {
	Name  string
	DType quant.DType
	Shape []int  // slowest dimension first, the reverse of the file's order
	Data  []byte // aliases the parsed bytes; exactly the shape's length
}

// File is a parsed GGUF file. It is read only, so safe to share.
type File struct {
	Version   int
	Alignment int
	Tensors   []Tensor // in the file's order

	keys  []string
	meta  map[string]any
	index map[string]int
}

// Tensor is the tensor of that name in the file.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}
