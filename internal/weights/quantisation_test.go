package weights

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// Law: what a quantisation_config asks for that is not supported is an error of
// one line that names the field.
func TestUnsupportedQuantisationsAreNamed(t *testing.T) {
	compressed := func(weights, more string) string {
		return `{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"weights": ` + weights + more + `}}}`
	}
	const w4 = `{"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": true`
	for _, c := range []struct{ config, want string }{
		{`{"quant_method": "exl2"}`, `quant_method "exl2" is not supported; awq, compressed-tensors, fp8, gptq, mxfp4 are`},
		{`{}`, `quant_method ""`},
		{`{"quant_method": "fp8"}`, "weight_block_size"},
		{`{"quant_method": "fp8", "weight_block_size": [128]}`, "weight_block_size [128]"},
		{`{"quant_method": "fp8", "weight_block_size": [0, 128]}`, "weight_block_size"},
		{`{"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e5m2"}`, `fmt "e5m2"`},
		{`{"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "static"}`, `activation_scheme "static"`},
		{`{"quant_method": "awq", "bits": 8}`, "bits must be 4"},
		{`{"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"}`, `version "gemv"`},
		{`{"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": false}`, "zero_point"},
		{`{"quant_method": "awq", "bits": 4, "group_size": 3}`, "group_size is 3"},
		{`{"quant_method": "gptq"}`, "bits must be 4"},
		{`{"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": true}`, "desc_act true"},
		{`{"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"}`, `checkpoint_format "marlin"`},
		{`{"quant_method": "compressed-tensors", "format": "float-quantized"}`, `format "float-quantized"`},
		{`{"quant_method": "compressed-tensors", "format": "pack-quantized"}`, "config_groups has 0"},
		{compressed(`{"num_bits": 8, "type": "int"}`, ""), "only int weights of 4 bits"},
		{compressed(w4+`}`, `, "input_activations": {"num_bits": 8}`), "input_activations"},
		{compressed(w4+`, "actorder": "group"}`, ""), `actorder "group"`},
		{compressed(strings.Replace(w4, `"group"`, `"tensor"`, 1)+`}`, ""), `strategy "tensor"`},
	} {
		_, err := ParseQuantisation(json.RawMessage(`{"quantization_config": ` + c.config + `}`))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, must say %q", c.config, err, c.want)
		}
	}
	for config, want := range map[string]Quantisation{
		`{}`:                            {},
		`{"quantization_config": null}`: {},
		`{"quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}}`:                                       {Method: "mxfp4"},
		`{"quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 64]}}`: {Method: "fp8", Block: [2]int{128, 64}},
		`{"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": true, "version": "GEMM"}}`:           {Method: "awq", Group: 128},
		`{"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": -1, "desc_act": false, "sym": true}}`:                  {Method: "gptq", ZeroMinusOne: true},
		`{"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 64, "checkpoint_format": "gptq_v2"}}`:                  {Method: "gptq", Group: 64},
		`{"quantization_config": ` + compressed(w4+`}`, `, "input_activations": null`) + `}`:                                              {Method: "compressed-tensors", Group: 32, Symmetric: true},
	} {
		if got, err := ParseQuantisation(json.RawMessage(config)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", config, got, err)
		}
	}
}

// folder is a model folder of the given quantization_config and tensors.
func folder(t *testing.T, quantisation string, tensors ...Tensor) (*Model, error) {
	t.Helper()
	header := map[string]any{}
	var data []byte
	for _, x := range tensors {
		header[x.Name] = map[string]any{"dtype": x.DType.String(), "shape": x.Shape, "data_offsets": []int{len(data), len(data) + len(x.Data)}}
		data = append(data, x.Data...)
	}
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(h)))
	return OpenFS(fstest.MapFS{
		"config.json":       {Data: []byte(`{"quantization_config": ` + quantisation + `}`)},
		"model.safetensors": {Data: append(append(file, h...), data...)},
	}, "folder")
}

// of is a tensor of n bytes that count up.
func of(name string, d DType, shape ...int) Tensor {
	t := Tensor{Name: name, DType: d, Shape: shape}
	t.Data = make([]byte, t.Rows()*t.RowBytes())
	for i := range t.Data {
		t.Data[i] = byte(i * 7)
	}
	return t
}

// The packings by their definition, nibble by nibble.
func TestPackedWeightsUnpack(t *testing.T) {
	const in, out, group = 16, 8, 8
	word := func(x Tensor, at int) uint32 { return binary.LittleEndian.Uint32(x.Data[4*at:]) }
	scales := of("p.scales", F16, in/group, out)
	zeros := of("p.qzeros", I32, in/group, out/8)
	awqOrder := []int{0, 2, 4, 6, 1, 3, 5, 7}
	for name, c := range map[string]struct {
		config  string
		tensors []Tensor
		code    func(w Tensor, r, c int) uint32
		zero    func(r, g int) uint32
		scale   func(r, g int) (Tensor, int)
	}{
		"awq": {`{"quant_method": "awq", "bits": 4, "group_size": 8}`, []Tensor{of("p.qweight", I32, in, out/8), zeros, scales},
			func(w Tensor, r, c int) uint32 { return word(w, c) >> (4 * slices.Index(awqOrder, r)) & 15 },
			func(r, g int) uint32 { return word(zeros, g) >> (4 * slices.Index(awqOrder, r)) & 15 },
			func(r, g int) (Tensor, int) { return scales, g*out + r }},
		"gptq": {`{"quant_method": "gptq", "bits": 4, "group_size": 8}`, []Tensor{of("p.qweight", I32, in/8, out), zeros, scales},
			func(w Tensor, r, c int) uint32 { return word(w, c/8*out+r) >> (4 * (c % 8)) & 15 },
			func(r, g int) uint32 { return (word(zeros, g)>>(4*r) + 1) & 15 },
			func(r, g int) (Tensor, int) { return scales, g*out + r }},
		"compressed": {`{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {"weights":
			{"num_bits": 4, "type": "int", "strategy": "group", "group_size": 8, "symmetric": false}}}}`,
			[]Tensor{of("p.weight_packed", I32, out, in/8), of("p.weight_scale", F16, out, in/group), of("p.weight_zero_point", I32, out/8, in/group), of("p.weight_shape", I64, 2)},
			func(w Tensor, r, c int) uint32 { return word(w, r*in/8+c/8) >> (4 * (c % 8)) & 15 },
			func(r, g int) uint32 { return word(of("", I32, out/8, in/group), g) >> (4 * r) & 15 },
			func(r, g int) (Tensor, int) { return of("", F16, out, in/group), r*in/group + g }},
	} {
		m, err := folder(t, c.config, c.tensors...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := m.Names(); !slices.Equal(got, []string{"p.weight"}) {
			t.Errorf("%s: names %v", name, got)
		}
		got, ok := m.Tensor("p.weight")
		if !ok || got.Validate() != nil || !slices.Equal(got.Shape, []int{out, in}) {
			t.Fatalf("%s: %+v", name, got)
		}
		values := got.Float32()
		for r := range out {
			for col := range in {
				s, at := c.scale(r, col/group)
				want := s.Float32()[at] * (float32(c.code(c.tensors[0], r, col)) - float32(c.zero(r, col/group)))
				if v := values[r*in+col]; v != want {
					t.Fatalf("%s: row %d column %d is %v, want %v", name, r, col, v, want)
				}
			}
		}
		m.Release(got)
	}
}

// Law: packed tensors that do not go together are refused in one line that
// names one of them, when the model is opened.
func TestPackedWeightsThatDoNotFitAreRefused(t *testing.T) {
	const awq = `{"quant_method": "awq", "bits": 4, "group_size": 8}`
	const gptq = `{"quant_method": "gptq", "bits": 4, "group_size": 8}`
	const fp8 = `{"quant_method": "fp8", "weight_block_size": [4, 4]}`
	weight, zeros, scales := of("p.qweight", I32, 16, 1), of("p.qzeros", I32, 2, 1), of("p.scales", F16, 2, 8)
	blocks := of("a.mlp.experts.gate_up_proj_blocks", U8, 2, 4, 1, 16)
	for _, c := range []struct {
		why, config string
		tensors     []Tensor
		want        string
	}{
		{"no zeros", awq, []Tensor{weight, scales}, "p.qzeros"},
		{"no scales", awq, []Tensor{weight, zeros}, "p.scales"},
		{"scales of integers", awq, []Tensor{weight, zeros, of("p.scales", I32, 2, 8)}, "p.scales"},
		{"a vector", awq, []Tensor{of("p.qweight", I32, 16), zeros, scales}, "p.qweight"},
		{"too few groups", awq, []Tensor{weight, of("p.qzeros", I32, 1, 1), of("p.scales", F16, 1, 8)}, "p.qweight"},
		{"other outputs", awq, []Tensor{weight, zeros, of("p.scales", F16, 2, 16)}, "p.qweight"},
		{"nothing", awq, []Tensor{of("p.qweight", I32, 0, 1), of("p.qzeros", I32, 0, 1), of("p.scales", F16, 0, 8)}, "p.qweight"},
		{"the weight twice", awq, []Tensor{weight, zeros, scales, of("p.weight", F16, 2, 2)}, "p.weight"},
		{"act order", gptq, []Tensor{of("p.qweight", I32, 2, 8), zeros, scales, of("p.g_idx", I32, 16)}, "desc_act"},
		{"g_idx of floats", gptq, []Tensor{of("p.qweight", I32, 2, 8), zeros, scales, of("p.g_idx", F32, 16)}, "p.g_idx"},
		{"fp8 without scales", fp8, []Tensor{of("p.weight", F8E4M3, 8, 8)}, "p.weight_scale_inv"},
		{"fp8 with too few", fp8, []Tensor{of("p.weight", F8E4M3, 8, 8), of("p.weight_scale_inv", F32, 1, 2)}, "p.weight"},
		{"experts without scales", `null`, []Tensor{blocks}, "gate_up_proj_scales"},
		{"experts of another block", `null`, []Tensor{of(blocks.Name, U8, 2, 4, 1, 8), of("a.mlp.experts.gate_up_proj_scales", U8, 2, 4, 1)}, "gate_up_proj_blocks"},
		{"an odd half", `null`, []Tensor{of(blocks.Name, U8, 2, 3, 1, 16), of("a.mlp.experts.gate_up_proj_scales", U8, 2, 3, 1)}, "gate and up"},
		{"an odd half of floats", `null`, []Tensor{of("a.mlp.experts.gate_up_proj", BF16, 2, 3, 5)}, "gate and up"},
		{"experts of nothing", `null`, []Tensor{of("a.mlp.experts.down_proj.weight", BF16, 1<<30, 0, 4)}, "down_proj.weight"},
		{"a flat stack", `null`, []Tensor{of("a.mlp.experts.down_proj", BF16, 2, 3)}, "a.mlp.experts.down_proj"},
		{"a stack and a part", `null`, []Tensor{of("a.mlp.experts.down_proj", BF16, 2, 3, 4), of("a.mlp.experts.1.down_proj.weight", BF16, 4, 3)}, "twice"},
	} {
		_, err := folder(t, c.config, c.tensors...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, must say %q", c.why, err, c.want)
		}
	}
	// Opening is not running: what ParseQuantisation refuses stays as it is.
	m, err := folder(t, `{"quant_method": "exl2"}`, weight)
	if err != nil || !slices.Equal(m.Names(), []string{"p.qweight"}) {
		t.Errorf("an unknown method: %v", err)
	}
}

// gpt-oss's stacks by their definition: element, expert by expert.
func TestExpertStacksBecomeMatrices(t *testing.T) {
	const experts, inner, hidden = 3, 4, 64
	blocks, scales := of("a.mlp.experts.gate_up_proj_blocks", U8, experts, 2*inner, hidden/32, 16), of("a.mlp.experts.gate_up_proj_scales", U8, experts, 2*inner, hidden/32)
	for i := range scales.Data {
		scales.Data[i] = byte(120 + i%10)
	}
	down, bias := of("a.mlp.experts.down_proj", BF16, experts, inner, hidden), of("a.mlp.experts.gate_up_proj_bias", BF16, experts, 2*inner)
	m, err := folder(t, `{"quant_method": "mxfp4"}`, blocks, scales, down, bias)
	if err != nil {
		t.Fatal(err)
	}
	values := [16]float64{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}
	count := 0
	for e := range experts {
		prefix := fmt.Sprintf("a.mlp.experts.%d.", e)
		for half, part := range []string{"gate_proj", "up_proj"} {
			w, _ := m.Tensor(prefix + part + ".weight")
			b, _ := m.Tensor(prefix + part + ".bias")
			if w.DType != MXFP4 || !slices.Equal(w.Shape, []int{inner, hidden}) || !slices.Equal(b.Shape, []int{inner}) {
				t.Fatalf("%s: %s %v, bias %v", w.Name, w.DType, w.Shape, b.Shape)
			}
			for i, got := range w.Float32() {
				row, col := e*2*inner+2*(i/hidden)+half, i%hidden
				code := blocks.Data[row*hidden/2+col/2] >> (4 * (col % 2)) & 15
				want := values[code] * math.Ldexp(1, int(scales.Data[row*hidden/32+col/32])-127)
				if float64(got) != want {
					t.Fatalf("%s: element %d is %v, want %v", w.Name, i, got, want)
				}
			}
			for i, got := range b.Float32() {
				if want := bias.Float32()[e*2*inner+2*i+half]; math.Float32bits(got) != math.Float32bits(want) {
					t.Errorf("%s: element %d is %v, want %v", b.Name, i, got, want)
				}
			}
			count += 2
		}
		w, _ := m.Tensor(prefix + "down_proj.weight")
		for i, got := range w.Float32() {
			if want := down.Float32()[(e*inner+i%inner)*hidden+i/inner]; math.Float32bits(got) != math.Float32bits(want) {
				t.Fatalf("%s: element %d is %v, want %v", w.Name, i, got, want)
			}
		}
		count++
	}
	if len(m.Names()) != count || m.TotalBytes() != int64(len(blocks.Data)+len(scales.Data)+len(down.Data)+len(bias.Data)) {
		t.Errorf("%d tensors of %d bytes: %v", len(m.Names()), m.TotalBytes(), slices.Sorted(maps.Keys(m.tensors)))
	}
}

func TestTransposedExchangesRowsAndColumns(t *testing.T) {
	for _, x := range []Tensor{ramp(3, 5), of("b", BF16, 2, 7), q8(4, 64)} {
		turned, all := x.Transposed(), x.Float32()
		if turned.Rows() != x.Cols() || x.DType.Quantised() && turned.DType != F32 || !x.DType.Quantised() && turned.DType != x.DType {
			t.Errorf("%s: %s %v", x.DType, turned.DType, turned.Shape)
		}
		for i, got := range turned.Float32() {
			if want := all[i%x.Rows()*x.Cols()+i/x.Rows()]; math.Float32bits(got) != math.Float32bits(want) {
				t.Fatalf("%s: element %d is %v, want %v", x.DType, i, got, want)
			}
		}
	}
}
