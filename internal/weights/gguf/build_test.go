package gguf

import (
	"encoding/binary"
)

// builder writes GGUF bytes, true or false ones, for the tests.
type builder struct{ b []byte }

func (w *builder) raw(b ...byte) *builder { w.b = append(w.b, b...); return w }
func (w *builder) u32(v uint32) *builder {
	w.b = binary.LittleEndian.AppendUint32(w.b, v)
	return w
}
func (w *builder) u64(v uint64) *builder {
	w.b = binary.LittleEndian.AppendUint64(w.b, v)
	return w
}
func (w *builder) str(s string) *builder {
	w.u64(uint64(len(s)))
	w.b = append(w.b, s...)
	return w
}
func (w *builder) header(version uint32, tensors, pairs uint64) *builder {
	return w.raw([]byte("GGUF")...).u32(version).u64(tensors).u64(pairs)
}
func (w *builder) tensor(name string, typ uint32, offset uint64, dims ...uint64) *builder {
	w.str(name).u32(uint32(len(dims)))
	for _, n := range dims {
		w.u64(n)
	}
	return w.u32(typ).u64(offset)
}
func (w *builder) pad(n int) *builder {
	for len(w.b)%n != 0 {
		w.b = append(w.b, 0)
	}
	return w
}
func (w *builder) data(n int) *builder {
	w.pad(32)
	for i := range n {
		w.b = append(w.b, byte(i))
	}
	return w
}

// newGGUF starts a version 3 file.
func newGGUF(tensors, pairs uint64) *builder { return new(builder).header(3, tensors, pairs) }

// whole is a good file: every metadata type, nested arrays, two tensors.
func whole() []byte {
	w := newGGUF(2, 17)
	w.str("general.architecture").u32(typeString).str("llama")
	w.str("general.alignment").u32(typeUint32).u32(32)
	w.str("u8").u32(typeUint8).raw(255)
	w.str("i8").u32(typeInt8).raw(255)
	w.str("u16").u32(typeUint16).raw(1, 2)
	w.str("i16").u32(typeInt16).raw(255, 255)
	w.str("i32").u32(typeInt32).u32(1<<32 - 2)
	w.str("f32").u32(typeFloat32).u32(0x3fc00000)
	w.str("bool").u32(typeBool).raw(1)
	w.str("u64").u32(typeUint64).u64(1<<64 - 1)
	w.str("i64").u32(typeInt64).u64(1<<64 - 3)
	w.str("f64").u32(typeFloat64).u64(0x3ff8000000000000)
	w.str("strings").u32(typeArray).u32(typeString).u64(2).str("a").str("bc")
	w.str("ints").u32(typeArray).u32(typeInt32).u64(2).u32(7).u32(1<<32 - 1)
	w.str("floats").u32(typeArray).u32(typeFloat32).u64(1).u32(0x3fc00000)
	w.str("bools").u32(typeArray).u32(typeBool).u64(2).raw(0, 1)
	w.str("nested").u32(typeArray).u32(typeArray).u64(1).u32(typeUint8).u64(2).raw(3, 4)
	w.tensor("a.weight", 0, 0, 4, 2) // 2 rows of 4 float32
	w.tensor("b.weight", 8, 32, 32)  // one Q8_0 block
	return w.data(32 + 34).b
}
