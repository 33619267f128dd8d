package weights

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/fstest"
)

// Law: whatever a folder says of its tensors, opening it is an error of one line
// or every tensor can be read.
func FuzzFolder(f *testing.F) {
	configs := []string{
		`null`, `{"quant_method":"awq","bits":4,"group_size":8}`, `{"quant_method":"gptq","bits":4,"group_size":-1}`, `{"quant_method":"fp8","weight_block_size":[2,4]}`,
		`{"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"g":{"weights":{"num_bits":4,"type":"int","strategy":"group","group_size":8,"symmetric":true}}}}`,
	}
	for i, header := range []string{
		`{"p.qweight":{"dtype":"I32","shape":[16,1],"data_offsets":[0,64]},"p.qzeros":{"dtype":"I32","shape":[2,1],"data_offsets":[64,72]},"p.scales":{"dtype":"F16","shape":[2,8],"data_offsets":[72,104]}}`,
		`{"p.qweight":{"dtype":"I32","shape":[2,8],"data_offsets":[0,64]},"p.qzeros":{"dtype":"I32","shape":[1,1],"data_offsets":[64,68]},"p.scales":{"dtype":"F16","shape":[1,8],"data_offsets":[68,84]}}`,
		`{"p.weight":{"dtype":"F8_E4M3","shape":[3,6],"data_offsets":[0,18]},"p.weight_scale_inv":{"dtype":"BF16","shape":[2,2],"data_offsets":[18,26]}}`,
		`{"p.weight_packed":{"dtype":"I32","shape":[3,2],"data_offsets":[0,24]},"p.weight_scale":{"dtype":"BF16","shape":[3,2],"data_offsets":[24,36]},"p.weight_shape":{"dtype":"I64","shape":[2],"data_offsets":[36,52]}}`,
		`{"a.mlp.experts.gate_up_proj_blocks":{"dtype":"U8","shape":[1,2,1,16],"data_offsets":[0,32]},"a.mlp.experts.gate_up_proj_scales":{"dtype":"U8","shape":[1,2,1],"data_offsets":[32,34]}}`,
		`{"a.mlp.experts.down_proj":{"dtype":"BF16","shape":[2,3,1],"data_offsets":[0,12]},"a.mlp.experts.down_proj_bias":{"dtype":"BF16","shape":[2,1],"data_offsets":[12,16]}}`,
	} {
		f.Add(configs[(i+1)%len(configs)], header, uint16(200))
	}
	f.Fuzz(func(t *testing.T, config, header string, size uint16) {
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		for _, n := range []int{int(size), 104, 84, 26, 52, 34, 16} {
			m, err := OpenFS(fstest.MapFS{
				"config.json":       {Data: []byte(`{"quantization_config":` + config + `}`)},
				"model.safetensors": {Data: append(file[:len(file):len(file)], make([]byte, n)...)},
			}, "folder")
			if err != nil {
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("more than a line: %q", err)
				}
				continue
			}
			for _, name := range m.Names() {
				x, ok := m.Tensor(name)
				if !ok || x.Name != name {
					t.Fatalf("%q: %+v", name, x)
				}
				if shape, dtype, _ := m.Shape(name); dtype != x.DType || len(shape) != len(x.Shape) {
					t.Errorf("%q is %s %v, described as %s %v", name, x.DType, x.Shape, dtype, shape)
				}
				if x.Scale != nil && x.Validate() != nil {
					t.Errorf("%q: %v", name, x.Validate())
				}
				x.Float32()
				m.Release(x)
			}
		}
	})
}
