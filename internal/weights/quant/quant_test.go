package quant

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

var allDTypes = []DType{F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_K, Q4_K, Q6_K, MXFP4, F8E4M3, I4, U8, I32, I64, Q5_0}

// The values must be the gguf package's bit for bit, testdata/make_blocks.py.
func TestBlocksEqualTheGGUFPackage(t *testing.T) {
	raw, err := os.ReadFile("testdata/blocks.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]struct {
		Data string
		Bits []uint32
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, d := range []DType{Q8_0, Q4_0, Q4_1, Q5_K, Q4_K, Q6_K, MXFP4, Q5_0} {
		c, ok := cases[d.String()]
		if !ok {
			t.Errorf("%s: no golden", d)
			continue
		}
		data, err := hex.DecodeString(c.Data)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(c.Bits))
		Dequantise(got, d, data)
		for i, v := range got {
			if math.Float32bits(v) != c.Bits[i] {
				t.Errorf("%s: element %d is %v, the gguf package says %v", d, i, v, math.Float32frombits(c.Bits[i]))
				break
			}
		}
	}
}

// ldexp in float64 is the definition: sign x 2^(e-15) x 1.f, 2^-24 x f below.
func TestFloat16IsTheIEEEHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, frac := 1.0, h>>10&31, float64(h&1023)
		if h>>15 == 1 {
			sign = -1
		}
		got := float64(Float16(uint16(h)))
		switch {
		case exp == 31 && frac != 0:
			if !math.IsNaN(got) {
				t.Fatalf("%#04x is %v, not NaN", h, got)
			}
			continue
		case exp == 31:
			if !math.IsInf(got, int(sign)) {
				t.Fatalf("%#04x is %v, not infinite", h, got)
			}
			continue
		}
		want := sign * math.Ldexp(1+frac/1024, exp-15)
		if exp == 0 {
			want = sign * math.Ldexp(frac, -24)
		}
		if got != want || math.Signbit(got) != (sign < 0) {
			t.Fatalf("%#04x is %v, want %v", h, got, want)
		}
	}
}

// ldexp is the definition again: sign x 2^(e-7) x 1.f, 2^-9 x f below.
func TestFloat8IsE4M3(t *testing.T) {
	for v := range 256 {
		exp, frac := v>>3&15, float64(v&7)
		want := math.Ldexp(1+frac/8, exp-7)
		if exp == 0 {
			want = math.Ldexp(frac, -9)
		}
		if v >= 128 {
			want = -want
		}
		got := float64(Float8(byte(v)))
		if v&127 == 127 {
			if !math.IsNaN(got) {
				t.Errorf("%#02x is %v, not NaN", v, got)
			}
		} else if got != want || math.Signbit(got) != (v >= 128) {
			t.Errorf("%#02x is %v, want %v", v, got, want)
		}
	}
	if Float8(0x7e) != 448 {
		t.Errorf("the largest is %v, not 448", Float8(0x7e))
	}
}

func TestPower8IsE8M0(t *testing.T) {
	for e := range 255 {
		if got := float64(Power8(byte(e))); got != math.Ldexp(1, e-127) {
			t.Errorf("%d is %v", e, got)
		}
	}
	if v := Power8(255); v == v {
		t.Errorf("255 is %v, not NaN", v)
	}
}

func TestIntegersAndNibblesAreTheirValues(t *testing.T) {
	for _, c := range []struct {
		d    DType
		data []byte
		want []float32
	}{
		{I4, []byte{0x21, 0xf0}, []float32{1, 2, 0, 15}},
		{U8, []byte{0, 200}, []float32{0, 200}},
		{I32, []byte{0xfe, 0xff, 0xff, 0xff, 7, 0, 0, 0}, []float32{-2, 7}},
		{I64, []byte{0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []float32{-3}},
	} {
		got := make([]float32, len(c.want))
		Dequantise(got, c.d, c.data)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.d, got, c.want)
		}
	}
}

func TestUnquantisedFormatsKeepTheirBits(t *testing.T) {
	got := make([]float32, 1)
	for _, want := range []float32{0, 1, -2.5, 3.0517578e-05, 65280} {
		bits := math.Float32bits(want)
		Dequantise(got, F32, binary.LittleEndian.AppendUint32(nil, bits))
		if got[0] != want {
			t.Errorf("F32 %v became %v", want, got[0])
		}
		Dequantise(got, BF16, binary.LittleEndian.AppendUint16(nil, uint16(bits>>16)))
		if got[0] != want {
			t.Errorf("BF16 %v became %v", want, got[0])
		}
	}
}

func TestDequantiseRefusesAWrongLength(t *testing.T) {
	for _, d := range allDTypes {
		for _, extra := range []int{-1, 1} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: %+d bytes were accepted", d, extra)
					}
				}()
				Dequantise(make([]float32, d.BlockSize()), d, make([]byte, d.BlockBytes()+extra))
			}()
		}
	}
}

func BenchmarkDequantise(b *testing.B) {
	for _, d := range allDTypes {
		b.Run(d.String(), func(b *testing.B) {
			dst := make([]float32, 4096)
			src := make([]byte, len(dst)/d.BlockSize()*d.BlockBytes())
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				Dequantise(dst, d, src)
			}
		})
	}
}
