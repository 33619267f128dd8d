package gguf

// The metadata accessors convert between the number types that writers choose
// freely, and report false when the key is absent or of another kind.

// Get is the value of a key as it is in the file: a Go number of the same
// width, a bool, a string, or a slice of those ([]any for nested arrays).
func (f *File) Get(key string) (any, bool) {
	v, ok := f.meta[key]
	return v, ok
}

// Keys lists the metadata keys in the file's order.
func (f *File) Keys() []string { return append([]string(nil), f.keys...) }

// String is a string value.
func (f *File) String(key string) (string, bool) {
	s, ok := f.meta[key].(string)
	return s, ok
}

// Bool is a boolean value.
func (f *File) Bool(key string) (bool, bool) {
	b, ok := f.meta[key].(bool)
	return b, ok
}

// Strings is an array of strings. The slice belongs to the file: do not change it.
func (f *File) Strings(key string) ([]string, bool) {
	s, ok := f.meta[key].([]string)
	return s, ok
}

// Int is an integer value of any width; a uint64 over the int64 range is not one.
func (f *File) Int(key string) (int64, bool) {
	return toInt(f.meta[key])
}

// Float is a number of any type.
func (f *File) Float(key string) (float64, bool) {
	return toFloat(f.meta[key])
}

// Ints is an array of integers of any width, in a new slice.
func (f *File) Ints(key string) ([]int64, bool) {
	switch v := f.meta[key].(type) {
	case []uint8:
		return convert[uint8, int64](v), true
	case []int8:
		return convert[int8, int64](v), true
	case []uint16:
		return convert[uint16, int64](v), true
	case []int16:
		return convert[int16, int64](v), true
	case []uint32:
		return convert[uint32, int64](v), true
	case []int32:
		return convert[int32, int64](v), true
	case []int64:
		return append([]int64(nil), v...), true
	case []uint64:
		for _, n := range v {
			if n > 1<<63-1 {
				return nil, false
			}
		}
		return convert[uint64, int64](v), true
	}
	return nil, false
}

// Floats is an array of float32 or float64, in a new slice.
func (f *File) Floats(key string) ([]float64, bool) {
	switch v := f.meta[key].(type) {
	case []float32:
		return convert[float32, float64](v), true
	case []float64:
		return append([]float64(nil), v...), true
	}
	return nil, false
}

type number interface {
	~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64 | ~float32 | ~float64
}

func convert[A, B number](in []A) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = B(v)
	}
	return out
}

func toInt(v any) (int64, bool) {
	switch n := v.(type) {
	case uint8:
		return int64(n), true
	case int8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case int16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case int32:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= 1<<63-1
	}
	return 0, false
}

func toFloat(v any) (float64, bool) {
	switch n := v.(type) {
	case float32:
		return float64(n), true
	case float64:
		return n, true
	}
	n, ok := toInt(v)
	return float64(n), ok
}
