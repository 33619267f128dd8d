package safetensors

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/weights/quant"
)

// file is a header and data bytes.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range data {
		b = append(b, byte(i))
	}
	return b
}

const good = `{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"none":{"dtype":"F16","shape":[0,4],"data_offsets":[20,20]}}  `

func TestParse(t *testing.T) {
	f, err := Parse(file(good, 20))
	if err != nil {
		t.Fatal(err)
	}
	b, ok := f.Tensor("b")
	if !ok || b.DType != quant.BF16 || !reflect.DeepEqual(b.Shape, []int{2, 3}) || len(b.Data) != 12 || b.Data[0] != 8 {
		t.Errorf("b: %+v %v", b, ok)
	}
	if len(f.Tensors) != 3 || f.Tensors[0].Name != "a" {
		t.Errorf("tensors: %+v", f.Tensors)
	}
}

func TestTruncatedFilesAreRefused(t *testing.T) {
	whole := file(good, 20)
	for n := range whole {
		if _, err := Parse(whole[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
}

// one is a file whose only tensor has this entry.
func one(entry string, data int) []byte { return file(`{"t":`+entry+`}`, data) }

var corrupt = []struct {
	name string
	data []byte
	want string
}{
	{"empty", nil, "too short"},
	{"header length 2^64-1", append(binary.LittleEndian.AppendUint64(nil, 1<<64-1), "{}"...), "header of 18446744073709551615"},
	{"header length 2^63", append(binary.LittleEndian.AppendUint64(nil, 1<<63), "{}"...), "header of"},
	{"header over the cap", append(binary.LittleEndian.AppendUint64(nil, maxHeader+1), "{}"...), "at most"},
	{"header past the end", append(binary.LittleEndian.AppendUint64(nil, 3), "{}"...), "has 2 more"},
	{"not JSON", file("hello", 0), "not a JSON object"},
	{"an array", file("[]", 0), "not a JSON object"},
	{"cut JSON", file(`{"t":{"dtype":"F32"`, 0), "header"},
	{"two objects", file(`{}{}`, 0), "more than"},
	{"nested without end", file(`{"t":`+strings.Repeat("[", 20000), 0), "header"},
	{"entry is a number", one(`3`, 0), `"t"`},
	{"dtype missing", one(`{"shape":[1],"data_offsets":[0,4]}`, 4), `"t": dtype`},
	{"offsets missing", one(`{"dtype":"F32","shape":[1]}`, 4), `"t": dtype, shape or data_offsets`},
	{"shape null", one(`{"dtype":"F32","shape":null,"data_offsets":[0,4]}`, 4), `missing`},
	{"bad dtype", one(`{"dtype":"F31","shape":[1],"data_offsets":[0,4]}`, 4), `"t": dtype "F31" is not supported`},
	{"quantised elsewhere", one(`{"dtype":"I8","shape":[1],"data_offsets":[0,1]}`, 1), `"I8"`},
	{"negative shape", one(`{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}`, 4), `"t"`},
	{"fractional shape", one(`{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}`, 4), `"t"`},
	{"shape over uint64", one(`{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}`, 4), `"t"`},
	{"shape product wraps", one(`{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,4]}`, 4), "too large"},
	{"dimension 2^62", one(`{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}`, 0), "too large"},
	{"zero times huge", one(`{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}`, 0), "too large"},
	{"many dimensions", one(`{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}`, 4), "9 dimensions"},
	{"shape is longer than the offsets", one(`{"dtype":"F32","shape":[2],"data_offsets":[0,4]}`, 4), "takes 8 bytes"},
	{"offsets backwards", one(`{"dtype":"F32","shape":[1],"data_offsets":[4,0]}`, 4), "[from, to]"},
	{"one offset", one(`{"dtype":"F32","shape":[1],"data_offsets":[4]}`, 4), "[from, to]"},
	{"negative offset", one(`{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}`, 4), `"t"`},
	{"past the end", one(`{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`, 4), "ends at byte 8 of 4"},
	{"offsets near 2^64", one(`{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551611,18446744073709551615]}`, 4), `"t"`},
	{"gap at the start", one(`{"dtype":"F32","shape":[1],"data_offsets":[4,8]}`, 8), "gap"},
	{"bytes left over", one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`, 8), "4 bytes after"},
	{"overlap", file(`{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"u":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), `"u" overlaps`},
	{"name twice", file(`{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `"t" is there twice`},
	{"name with a newline", file(`{"a\nb":7}`, 0), `"a\nb"`},
}

func TestCorruptFilesAreRefusedInOneLine(t *testing.T) {
	for _, c := range corrupt {
		_, err := Parse(c.data)
		switch {
		case err == nil:
			t.Errorf("%s: accepted", c.name)
		case !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 300:
			t.Errorf("%s: %q does not say %q in one short line", c.name, err, c.want)
		}
	}
}

// FuzzSafetensors: no input makes Parse panic; an accepted file's tensors are
// exactly as long as their shapes say and fill the data.
func FuzzSafetensors(f *testing.F) {
	f.Add(file(good, 20))
	for _, c := range corrupt {
		if len(c.data) < 1<<12 {
			f.Add(c.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := Parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		total := 8 + int(binary.LittleEndian.Uint64(data))
		for _, tensor := range parsed.Tensors {
			size := tensor.DType.BlockBytes()
			for _, n := range tensor.Shape {
				size *= n
			}
			if len(tensor.Data) != size {
				t.Errorf("%q has %d bytes, its shape %v takes %d", tensor.Name, len(tensor.Data), tensor.Shape, size)
			}
			total += size
		}
		if total != len(data) {
			t.Errorf("%d bytes accounted for in a file of %d", total, len(data))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var h strings.Builder
	h.WriteString("{")
	for i := range 400 {
		if i > 0 {
			h.WriteString(",")
		}
		fmt.Fprintf(&h, `"model.layers.%d.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[%d,%d]}`, i, 16*i, 16*i+16)
	}
	h.WriteString("}")
	data := file(h.String(), 6400)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
