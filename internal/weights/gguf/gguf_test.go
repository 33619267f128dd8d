package gguf

import (
	"reflect"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/weights/quant"
)

func TestParseReadsEveryMetadataType(t *testing.T) {
	f, err := Parse(whole())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"general.architecture": "llama",
		"u8":                   uint8(255), "i8": int8(-1), "u16": uint16(513), "i16": int16(-1), "i32": int32(-2),
		"f32": float32(1.5), "bool": true, "u64": uint64(1<<64 - 1), "i64": int64(-3), "f64": 1.5,
		"strings": []string{"a", "bc"}, "ints": []int32{7, -1}, "floats": []float32{1.5}, "bools": []bool{false, true},
		"nested": []any{[]uint8{3, 4}},
	} {
		if got, _ := f.Get(key); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v, want %#v", key, got, want)
		}
	}
	if ints, ok := f.Ints("ints"); !ok || !reflect.DeepEqual(ints, []int64{7, -1}) {
		t.Errorf("Ints: %v %v", ints, ok)
	}
	if _, ok := f.Int("u64"); ok {
		t.Error("a uint64 beyond int64 is no Int")
	}
	if n, ok := f.Int("i8"); !ok || n != -1 {
		t.Errorf("Int: %v %v", n, ok)
	}
	if v, ok := f.Float("f32"); !ok || v != 1.5 {
		t.Errorf("Float: %v %v", v, ok)
	}
	if _, ok := f.String("u8"); ok {
		t.Error("a number is no String")
	}
	if len(f.Keys()) != 17 {
		t.Errorf("%d keys", len(f.Keys()))
	}
}

func TestParsePlacesTensors(t *testing.T) {
	f, err := Parse(whole())
	if err != nil {
		t.Fatal(err)
	}
	a, _ := f.Tensor("a.weight")
	if !reflect.DeepEqual(a.Shape, []int{2, 4}) || a.DType != quant.F32 || len(a.Data) != 32 || a.Data[1] != 1 {
		t.Errorf("a.weight: %v %v %d bytes", a.Shape, a.DType, len(a.Data))
	}
	b, _ := f.Tensor("b.weight")
	if !reflect.DeepEqual(b.Shape, []int{32}) || b.DType != quant.Q8_0 || len(b.Data) != 34 || b.Data[0] != 32 {
		t.Errorf("b.weight: %v %v %d bytes", b.Shape, b.DType, len(b.Data))
	}
}

func TestVersion2IsRead(t *testing.T) {
	if _, err := Parse(new(builder).header(2, 0, 0).b); err != nil {
		t.Error(err)
	}
}

// Every cut of a good file is refused, without a panic and in one line.
func TestTruncatedFilesAreRefused(t *testing.T) {
	good := whole()
	for n := range good {
		_, err := Parse(good[:n])
		if err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(good))
		}
		if strings.ContainsAny(err.Error(), "\n\r") {
			t.Fatalf("more than a line: %q", err)
		}
	}
}

// Corrupt files, among them the shapes of published advisories. Each is
// refused with words that name what is wrong.
var corrupt = []struct {
	name string
	file func() []byte
	want string
}{
	{"empty", func() []byte { return nil }, "not a GGUF file"},
	{"other magic", func() []byte { return []byte("GGML\x03\x00\x00\x00") }, "not a GGUF file"},
	{"version 0", func() []byte { return new(builder).header(0, 0, 0).b }, "version 0"},
	{"version 1", func() []byte { return new(builder).header(1, 0, 0).b }, "version 1"},
	{"version 4", func() []byte { return new(builder).header(4, 0, 0).b }, "version 4"},
	{"big-endian", func() []byte { return new(builder).header(3<<24, 0, 0).b }, "big-endian"},

	// CVE-2024-23605, CVE-2024-21836, CVE-2025-0315, CVE-2025-0317: counts
	// from the header are allocated or multiplied.
	{"pairs 2^64-1", func() []byte { return newGGUF(0, 1<<64-1).b }, "metadata pairs is 18446744073709551615"},
	{"pairs 2^63", func() []byte { return newGGUF(0, 1<<63).b }, "metadata pairs"},
	{"pairs 2^60, times 16 wraps", func() []byte { return newGGUF(0, 1<<60).b }, "metadata pairs"},
	{"pairs that the file cannot hold", func() []byte { return newGGUF(0, 1000).b }, "only 0 more bytes"},
	{"tensors 2^64-1", func() []byte { return newGGUF(1<<64-1, 0).b }, "number of tensors"},
	{"tensors 2^32", func() []byte { return newGGUF(1<<32, 0).b }, "number of tensors"},
	{"tensors that the file cannot hold", func() []byte { return newGGUF(100, 0).b }, "number of tensors is 100"},

	// CVE-2024-23496, CVE-2024-39720, CVE-2024-12055, CVE-2025-66959, CVE-2025-66960: string lengths.
	{"key length 2^64-1", func() []byte { return newGGUF(0, 1).u64(1<<64 - 1).raw(make([]byte, 64)...).b }, "metadata key"},
	{"key length 2^63", func() []byte { return newGGUF(0, 1).u64(1 << 63).raw(make([]byte, 64)...).b }, "metadata key"},
	{"key longer than the file", func() []byte { return newGGUF(0, 1).u64(1000).raw(make([]byte, 64)...).b }, "metadata key"},
	{"value length 2^63-1", func() []byte { return newGGUF(0, 1).str("k").u32(typeString).u64(1<<63 - 1).b }, `"k"`},
	{"value one byte too long", func() []byte { return newGGUF(0, 1).str("k").u32(typeString).u64(3).raw(1, 2).b }, `"k"`},
	{"string in an array too long", func() []byte {
		return newGGUF(0, 1).str("k").u32(typeArray).u32(typeString).u64(1).u64(1 << 62).b
	}, "element 0"},

	// CVE-2024-21825, CVE-2025-1975: arrays.
	{"array of 2^61 numbers of 8 bytes", func() []byte {
		return newGGUF(0, 1).str("k").u32(typeArray).u32(typeUint64).u64(1 << 61).raw(make([]byte, 64)...).b
	}, "array's length"},
	{"array longer than the file", func() []byte {
		return newGGUF(0, 1).str("k").u32(typeArray).u32(typeUint32).u64(20).raw(make([]byte, 64)...).b
	}, "array's length is 20"},
	{"array of an unknown type", func() []byte {
		return newGGUF(0, 1).str("k").u32(typeArray).u32(13).u64(1).raw(1).b
	}, "type 13"},
	{"arrays nested without end", func() []byte {
		w := newGGUF(0, 1).str("k").u32(typeArray)
		for range 100000 {
			w.u32(typeArray).u64(1)
		}
		return w.b
	}, "nested"},
	{"value of an unknown type", func() []byte { return newGGUF(0, 1).str("k").u32(99).raw(make([]byte, 8)...).b }, "type 99"},
	{"boolean of 2", func() []byte { return newGGUF(0, 1).str("k").u32(typeBool).raw(2).b }, "boolean"},
	{"key twice", func() []byte { return newGGUF(0, 2).str("k").u32(typeUint8).raw(1).str("k").u32(typeUint8).raw(1).b }, "twice"},

	// Alignment: zero divides, 2^31 wraps when padded (GGML_PAD).
	{"alignment 0", func() []byte { return newGGUF(0, 1).str("general.alignment").u32(typeUint32).u32(0).b }, "alignment"},
	{"alignment 3", func() []byte { return newGGUF(0, 1).str("general.alignment").u32(typeUint32).u32(3).b }, "alignment"},
	{"alignment 2^31", func() []byte { return newGGUF(0, 1).str("general.alignment").u32(typeUint32).u32(1 << 31).b }, "alignment"},
	{"alignment -32", func() []byte { return newGGUF(0, 1).str("general.alignment").u32(typeInt32).u32(1<<32 - 32).b }, "alignment"},
	{"alignment is a string", func() []byte { return newGGUF(0, 1).str("general.alignment").u32(typeString).str("32").b }, "alignment"},

	// CVE-2024-21802, CVE-2025-53630, CVE-2026-27940, CVE-2026-33298: sums and products of sizes.
	{"dimensions 0", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0).raw(make([]byte, 64)...).b }, "0 dimensions"},
	{"dimensions 5", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 1, 1, 1, 1, 1).data(64).b }, "5 dimensions"},
	{"dimensions 2^32-1", func() []byte {
		return newGGUF(1, 0).str("t").u32(1<<32 - 1).raw(make([]byte, 64)...).b
	}, "4294967295 dimensions"},
	{"a dimension of 0", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 0).data(64).b }, "dimension 0 is 0"},
	{"a dimension of 2^63", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 1<<63).data(64).b }, "dimension 0"},
	{"a dimension of -1", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 1<<64-1).data(64).b }, "dimension 0"},
	{"elements wrap to 0", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 1<<32, 1<<32).data(64).b }, "too large"},
	{"elements wrap to 32", func() []byte {
		return newGGUF(1, 0).tensor("t", 8, 0, 1<<40, 1<<24, 32).data(64).b
	}, "too large"},
	{"bytes wrap", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 1<<40, 1<<22).data(64).b }, "too large"},
	{"size beyond 2^63", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 1<<40, 1<<21).data(64).b }, "too large"},
	{"row cuts a block", func() []byte { return newGGUF(1, 0).tensor("t", 8, 0, 33).data(64).b }, "Q8_0 blocks"},

	// CVE-2026-7482: offset and size past the end of the file.
	{"size past the end", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 17).data(64).b }, `"t": 68 bytes at 0`},
	{"offset past the end", func() []byte { return newGGUF(1, 0).tensor("t", 0, 64, 1).data(64).b }, `"t": 4 bytes at 64`},
	{"offset wraps", func() []byte { return newGGUF(1, 0).tensor("t", 0, 1<<64-32, 16).data(64).b }, `"t": 64 bytes at`},
	{"offset 2^63", func() []byte { return newGGUF(1, 0).tensor("t", 0, 1<<63, 1).data(64).b }, `"t"`},
	{"offset not aligned", func() []byte { return newGGUF(1, 0).tensor("t", 0, 8, 1).data(64).b }, "multiple of 32"},
	{"no data at all", func() []byte { return newGGUF(1, 0).tensor("t", 0, 0, 1).b }, `"t"`},
	{"tensors overlap", func() []byte {
		return newGGUF(2, 0).tensor("t", 0, 0, 16).tensor("u", 0, 32, 8).data(64).b
	}, `"t" and "u" overlap`},
	{"tensor twice", func() []byte {
		return newGGUF(2, 0).tensor("t", 0, 0, 8).tensor("t", 0, 32, 8).data(64).b
	}, "twice"},
	{"unsupported type", func() []byte { return newGGUF(1, 0).tensor("t", 10, 0, 256).data(256).b }, `"t": type Q2_K is not supported`},
	{"removed type", func() []byte { return newGGUF(1, 0).tensor("t", 4, 0, 32).data(64).b }, `"t": type 4 is unknown`},
	{"type 2^32-1", func() []byte { return newGGUF(1, 0).tensor("t", 1<<32-1, 0, 32).data(64).b }, "unknown"},
	{"long name", func() []byte { return newGGUF(1, 0).tensor(strings.Repeat("n", 300), 0, 0, 8).data(64).b }, "tensor 0"},
	{"name with a newline", func() []byte { return newGGUF(1, 0).tensor("a\nb", 99, 0, 8).data(64).b }, `"a\nb"`},
}

func TestCorruptFilesAreRefusedInOneLine(t *testing.T) {
	for _, c := range corrupt {
		_, err := Parse(c.file())
		switch {
		case err == nil:
			t.Errorf("%s: accepted", c.name)
		case !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 300:
			t.Errorf("%s: %q does not say %q in one short line", c.name, err, c.want)
		}
	}
}

// FuzzGGUF: no input makes Parse panic; an accepted file's tensors are exactly
// as long as their shapes say and lie within the input.
func FuzzGGUF(f *testing.F) {
	f.Add(whole())
	for _, c := range corrupt {
		if b := c.file(); len(b) < 1<<12 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		total := 0
		for _, tensor := range file.Tensors {
			elements := 1
			for _, n := range tensor.Shape {
				elements *= n
			}
			if want := elements / tensor.DType.BlockSize() * tensor.DType.BlockBytes(); len(tensor.Data) != want {
				t.Errorf("%q has %d bytes, its shape takes %d", tensor.Name, len(tensor.Data), want)
			}
			total += len(tensor.Data)
		}
		if total > len(data) {
			t.Errorf("tensors of %d bytes in a file of %d", total, len(data))
		}
	})
}
