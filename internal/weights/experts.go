package weights

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Experts that a file keeps in one tensor of three dimensions or more become
// matrices of their own, "….mlp.experts.N.gate_proj.weight" and so on, [out, in]:
//
//	gate_proj.weight, up_proj.weight, down_proj.weight  [E][out][in]
//	    and …bias [E][out], as a GGUF file has them (ggufnames.go)
//	gate_up_proj [E][in][2*out], down_proj [E][in][out]  turned, floats
//	gate_up_proj_bias [E][2*out], down_proj_bias [E][out]
//	    gpt-oss, whose outputs are gate and up by turns
//	gate_up_proj_blocks [E][2*out][in/32][16], …_scales [E][2*out][in/32]
//	    gpt-oss in MXFP4; element i of a block is nibble i%2 of byte i/2
//
// Source: transformers, models/gpt_oss and integrations/mxfp4.py.
func (m *Model) splitStacks() error {
	for _, name := range m.Names() {
		prefix, part, ok := strings.Cut(name, ".mlp.experts.")
		split, known := stackParts[part]
		if !ok || !known {
			continue
		}
		if err := split(m, prefix+".mlp.experts.", part, name); err != nil {
			return err
		}
	}
	return nil
}

var stackParts = map[string]func(m *Model, prefix, part, name string) error{
	"gate_proj.weight": splitPlain, "up_proj.weight": splitPlain, "down_proj.weight": splitPlain,
	"gate_proj.bias": splitPlain, "up_proj.bias": splitPlain, "down_proj.bias": splitPlain,

	"gate_up_proj": splitTurned, "down_proj": splitTurned,
	"gate_up_proj_bias": splitTurned, "down_proj_bias": splitTurned,

	"gate_up_proj_blocks": splitMXFP4, "down_proj_blocks": splitMXFP4,
}

// expert enters a tensor of one expert.
func (m *Model) expert(prefix string, e int, part string, t Tensor, raw []byte, make func() Tensor) error {
	return m.replace(prefix+strconv.Itoa(e)+"."+part, &entry{tensor: t, make: make, raw: [][]byte{raw}})
}

// splitPlain: each expert's bytes lie together and in order.
func splitPlain(m *Model, prefix, part, name string) error {
	t := m.tensors[name].tensor
	if want := 3 - strings.Count(part, "bias"); len(t.Shape) != want || slices.Contains(t.Shape, 0) {
		return fmt.Errorf("tensor %.80q: shape %v is not that of experts", name, t.Shape)
	}
	delete(m.tensors, name)
	n := len(t.Data) / t.Shape[0]
	for e := range t.Shape[0] {
		one := Tensor{DType: t.DType, Shape: t.Shape[1:], Data: t.Data[e*n : (e+1)*n : (e+1)*n]}
		if err := m.expert(prefix, e, part, one, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// half is one of the projections that a stack holds: outputs first, first+step, …
type half struct {
	name        string
	first, step int
}

func halves(part string) []half {
	if strings.HasPrefix(part, "gate_up_proj") {
		return []half{{"gate_proj", 0, 2}, {"up_proj", 1, 2}}
	}
	return []half{{"down_proj", 0, 1}}
}

// splitTurned: outputs are the last dimension.
func splitTurned(m *Model, prefix, part, name string) error {
	dims, suffix := 3, ".weight"
	if strings.HasSuffix(part, "_bias") {
		dims, suffix = 2, ".bias"
	}
	t, err := m.find(name, dims, F32, F16, BF16)
	if err != nil {
		return err
	}
	delete(m.tensors, name)
	outs := t.Cols()
	in := t.Rows() / t.Shape[0]
	n := len(t.Data) / t.Shape[0]
	for e := range t.Shape[0] {
		data := t.Data[e*n : (e+1)*n : (e+1)*n]
		for _, h := range halves(part) {
			one := Tensor{DType: t.DType, Shape: []int{outs / h.step, in}}
			if dims == 2 {
				one.Shape = one.Shape[:1]
			}
			if outs%h.step != 0 {
				return fmt.Errorf("tensor %.80q: shape %v is not that of gate and up", name, t.Shape)
			}
			turn := func() Tensor {
				t := one
				t.Data = turned(data, in, outs, h.first, h.step, t.DType.BlockBytes())
				return t
			}
			if err := m.expert(prefix, e, h.name+suffix, one, data, turn); err != nil {
				return err
			}
		}
	}
	return nil
}

// turned is columns first, first+step, … of a matrix [rows][cols] as rows.
func turned(data []byte, rows, cols, first, step, size int) []byte {
	out := make([]byte, 0, rows*((cols-first+step-1)/step)*size)
	for c := first; c < cols; c += step {
		for r := range rows {
			at := (r*cols + c) * size
			out = append(out, data[at:at+size]...)
		}
	}
	return out
}

// transpose is a matrix of plain elements with rows and columns exchanged.
func transpose(t Tensor) Tensor {
	rows, cols := t.Rows(), t.Cols()
	t.Data = turned(t.Data, rows, cols, 0, 1, t.DType.BlockBytes())
	t.Shape = []int{cols, rows}
	return t
}

// splitMXFP4: rows of nibbles and rows of scales become rows of blocks.
func splitMXFP4(m *Model, prefix, part, name string) error {
	blocks, err := m.find(name, 4, U8)
	if err != nil {
		return err
	}
	scales, err := m.find(strings.TrimSuffix(name, "_blocks")+"_scales", 3, U8)
	if err != nil {
		return err
	}
	experts, outs, groups := blocks.Shape[0], blocks.Shape[1], blocks.Shape[2]
	if blocks.Shape[3] != 16 || scales.Shape[0] != experts || scales.Shape[1] != outs || scales.Shape[2] != groups {
		return fmt.Errorf("tensor %.80q: shape %v does not go with scales %v", name, blocks.Shape, scales.Shape)
	}
	delete(m.tensors, name)
	delete(m.tensors, scales.Name)
	n, k := outs*groups*16, outs*groups
	for e := range experts {
		data, scale := blocks.Data[e*n:(e+1)*n:(e+1)*n], scales.Data[e*k:(e+1)*k]
		for _, h := range halves(part) {
			if outs%h.step != 0 {
				return fmt.Errorf("tensor %.80q: shape %v is not that of gate and up", name, blocks.Shape)
			}
			one := Tensor{DType: MXFP4, Shape: []int{outs / h.step, 32 * groups}}
			pack := func() Tensor {
				t := one
				t.Data = make([]byte, 0, outs/h.step*groups*17)
				for r := h.first; r < outs; r += h.step {
					for g := r * groups; g < (r+1)*groups; g++ {
						t.Data = appendMXFP4(t.Data, scale[g], data[16*g:16*g+16])
					}
				}
				return t
			}
			if err := m.expert(prefix, e, h.name+".weight", one, data, pack); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendMXFP4 appends a block in ggml's layout (quant.MXFP4), given 32 codes in
// order, two a byte.
func appendMXFP4(dst []byte, scale byte, codes []byte) []byte {
	dst = append(dst, scale)
	for j := range 16 {
		low, high := codes[j/2], codes[8+j/2]
		if j%2 == 0 {
			dst = append(dst, low&15|high<<4)
		} else {
			dst = append(dst, low>>4|high&0xf0)
		}
	}
	return dst
}
