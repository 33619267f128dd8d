package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The metadata value types, by their number in the file.
const (
	typeUint8 = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// scalarBytes is the size of each scalar type; 0 for strings and arrays.
var scalarBytes = [...]int{
	typeUint8: 1, typeInt8: 1, typeBool: 1,
	typeUint16: 2, typeInt16: 2,
	typeUint32: 4, typeInt32: 4, typeFloat32: 4,
	typeUint64: 8, typeInt64: 8, typeFloat64: 8,
}

// metadata reads n key-value pairs.
func (f *File) metadata(r *reader, n int) error {
	f.meta = make(map[string]any, n)
	f.keys = make([]string, 0, n)
	for range n {
		key, err := r.str("a metadata key", maxKey)
		if err != nil {
			return err
		}
		if _, dup := f.meta[key]; dup {
			return fmt.Errorf("metadata key %.80q is there twice", key)
		}
		typ, err := r.u32("a value type")
		if err != nil {
			return fmt.Errorf("metadata key %.80q: %w", key, err)
		}
		v, err := r.value(typ, 0)
		if err != nil {
			return fmt.Errorf("metadata key %.80q: %w", key, err)
		}
		f.meta[key] = v
		f.keys = append(f.keys, key)
	}
	return nil
}

// value reads one value; depth counts the arrays around it.
func (r *reader) value(typ uint32, depth int) (any, error) {
	switch {
	case typ == typeString:
		return r.str("a string", maxString)
	case typ == typeArray:
		return r.array(depth + 1)
	case typ >= uint32(len(scalarBytes)):
		return nil, fmt.Errorf("value type %d is unknown", typ)
	}
	b, err := r.bytes(uint64(scalarBytes[typ]), "a value")
	if err != nil {
		return nil, err
	}
	switch typ {
	case typeUint8:
		return b[0], nil
	case typeInt8:
		return int8(b[0]), nil
	case typeBool:
		return truth(b[0])
	case typeUint16:
		return binary.LittleEndian.Uint16(b), nil
	case typeInt16:
		return int16(binary.LittleEndian.Uint16(b)), nil
	case typeUint32:
		return binary.LittleEndian.Uint32(b), nil
	case typeInt32:
		return int32(binary.LittleEndian.Uint32(b)), nil
	case typeFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(b)), nil
	case typeUint64:
		return binary.LittleEndian.Uint64(b), nil
	case typeInt64:
		return int64(binary.LittleEndian.Uint64(b)), nil
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
}

// array reads an element type, a count and the elements.
func (r *reader) array(depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("arrays are nested over %d deep", maxNesting)
	}
	typ, err := r.u32("an element type")
	if err != nil {
		return nil, err
	}
	var item int
	switch {
	case typ == typeString:
		item = minStringBytes
	case typ == typeArray:
		item = minArrayBytes
	case typ < uint32(len(scalarBytes)):
		item = scalarBytes[typ]
	default:
		return nil, fmt.Errorf("element type %d is unknown", typ)
	}
	n, err := r.count("the array's length", maxArray, item)
	if err != nil {
		return nil, err
	}
	switch typ {
	case typeString:
		return elements(n, func() (string, error) { return r.str("a string", maxString) })
	case typeArray:
		return elements(n, func() (any, error) { return r.array(depth + 1) })
	}
	b, err := r.bytes(uint64(n*item), "an array")
	if err != nil {
		return nil, err
	}
	return scalars(typ, b, n)
}

// elements reads n elements one by one.
func elements[T any](n int, read func() (T, error)) ([]T, error) {
	out := make([]T, n)
	var err error
	for i := range out {
		if out[i], err = read(); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return out, nil
}

// scalars decodes n elements of b, whose length the caller has checked.
func scalars(typ uint32, b []byte, n int) (any, error) {
	le := binary.LittleEndian
	switch typ {
	case typeUint8:
		return append([]uint8{}, b...), nil
	case typeInt8:
		return each(n, func(i int) int8 { return int8(b[i]) }), nil
	case typeUint16:
		return each(n, func(i int) uint16 { return le.Uint16(b[2*i:]) }), nil
	case typeInt16:
		return each(n, func(i int) int16 { return int16(le.Uint16(b[2*i:])) }), nil
	case typeUint32:
		return each(n, func(i int) uint32 { return le.Uint32(b[4*i:]) }), nil
	case typeInt32:
		return each(n, func(i int) int32 { return int32(le.Uint32(b[4*i:])) }), nil
	case typeFloat32:
		return each(n, func(i int) float32 { return math.Float32frombits(le.Uint32(b[4*i:])) }), nil
	case typeUint64:
		return each(n, func(i int) uint64 { return le.Uint64(b[8*i:]) }), nil
	case typeInt64:
		return each(n, func(i int) int64 { return int64(le.Uint64(b[8*i:])) }), nil
	case typeFloat64:
		return each(n, func(i int) float64 { return math.Float64frombits(le.Uint64(b[8*i:])) }), nil
	}
	at := 0
	return elements(n, func() (bool, error) { at++; return truth(b[at-1]) })
}

func each[T any](n int, at func(int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = at(i)
	}
	return out
}

func truth(b byte) (bool, error) {
	if b > 1 {
		return false, fmt.Errorf("a boolean is %d", b)
	}
	return b == 1, nil
}
