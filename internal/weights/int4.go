package weights

import (
	"encoding/binary"
	"fmt"
)

// Packed int4 weights: eight codes an int32, the first in the low nibble. Each
// method packs along another axis:
//
//	awq    qweight [in][out/8]  qzeros [groups][out/8]  scales [groups][out]
//	       nibbles of a word hold outputs 0, 2, 4, 6, 1, 3, 5, 7 of eight
//	gptq   qweight [in/8][out]  qzeros [groups][out/8]  scales [groups][out]
//	       nibble i of a word holds input 8*word + i; zeros in order of outputs
//	compressed-tensors  weight_packed [out][in/8]  weight_scale [out][groups]
//	       weight_zero_point [out/8][groups], nibble i of a word is output 8*word+i
//
// Sources: AutoAWQ awq/modules/linear/gemm.py, AutoGPTQ's qlinear modules,
// compressed-tensors' pack_to_int32. All become I4, [out][in/2].
var packings = map[string]packing{
	"awq":                {".qweight", awq},
	"gptq":               {".qweight", gptq},
	"compressed-tensors": {".weight_packed", compressed},
}

type packing struct {
	suffix string
	// unpack is the projection below prefix and the tensors it is made of.
	unpack func(m *Model, prefix string, q Quantisation) (e *entry, made []string, err error)
}

// awqNibble is the nibble of each of a word's eight outputs.
var awqNibble = [8]int{0, 4, 1, 5, 2, 6, 3, 7}

func awq(m *Model, prefix string, q Quantisation) (*entry, []string, error) {
	return unpackColumns(m, prefix, q, columnPacking{
		shape: func(s []int) (in, out int) { return s[0], 8 * s[1] },
		codes: func(dst []byte, w Tensor) {
			in, words := w.Shape[0], w.Shape[1]
			for word := range words {
				for c := 0; c < in; c += 2 {
					for k, n := range awqNibble {
						dst[((8*word+k)*in+c)/2] = nibbleAt(w.Data, c*words+word, n) | nibbleAt(w.Data, (c+1)*words+word, n)<<4
					}
				}
			}
		},
		zero: func(z Tensor, g, r int) byte { return nibbleAt(z.Data, g*z.Shape[1]+r/8, awqNibble[r%8]) },
	})
}

func gptq(m *Model, prefix string, q Quantisation) (*entry, []string, error) {
	if err := m.inOrder(prefix+".g_idx", q.Group); err != nil {
		return nil, nil, err
	}
	e, made, err := unpackColumns(m, prefix, q, columnPacking{
		shape: func(s []int) (in, out int) { return 8 * s[0], s[1] },
		// Eight inputs of an output are a word, whose bytes are as they must be.
		codes: func(dst []byte, w Tensor) { copy(dst, turned(w.Data, w.Shape[0], w.Shape[1], 0, 1, 4)) },
		zero: func(z Tensor, g, r int) byte {
			code := nibbleAt(z.Data, g*z.Shape[1]+r/8, r%8)
			if q.ZeroMinusOne {
				code = (code + 1) & 15
			}
			return code
		},
	})
	return e, append(made, prefix+".g_idx"), err
}

// inOrder refuses a tensor of each input's group that is not 0, 0, …, 1, 1, ….
func (m *Model) inOrder(name string, group int) error {
	if !m.has(name) {
		return nil
	}
	order, err := m.find(name, 1, I32)
	if err != nil {
		return err
	}
	if group == 0 {
		group = order.Shape[0]
	}
	for i := range order.Shape[0] {
		if int(binary.LittleEndian.Uint32(order.Data[4*i:])) != i/group {
			return fmt.Errorf("tensor %.80q: inputs are in an order of their own (desc_act), which is not supported", name)
		}
	}
	return nil
}

// columnPacking is how a method packs weights whose outputs are columns.
type columnPacking struct {
	shape func(qweight []int) (in, out int)
	codes func(dst []byte, qweight Tensor) // as I4 lays them out
	zero  func(qzeros Tensor, group, output int) byte
}

// unpackColumns is what awq and gptq share: scales and zeros lie by group, then
// output.
func unpackColumns(m *Model, prefix string, q Quantisation, p columnPacking) (*entry, []string, error) {
	made := []string{prefix + ".qweight", prefix + ".qzeros", prefix + ".scales"}
	var parts [3]Tensor
	for i, formats := range [][]DType{{I32}, {I32}, {F16, BF16, F32}} {
		var err error
		if parts[i], err = m.find(made[i], 2, formats...); err != nil {
			return nil, nil, err
		}
	}
	weight, zeros, scales := parts[0], parts[1], parts[2]
	in, out := p.shape(weight.Shape)
	groups := scales.Shape[0]
	group, err := q.groups(weight.Name, in, groups)
	if err != nil {
		return nil, nil, err
	}
	if in%2 != 0 || out%8 != 0 || scales.Shape[1] != out || zeros.Shape[0] != groups || zeros.Shape[1] != out/8 {
		return nil, nil, fmt.Errorf("tensor %.80q: shape %v does not go with zeros %v and scales %v", weight.Name, weight.Shape, zeros.Shape, scales.Shape)
	}
	e := &entry{tensor: Tensor{DType: I4, Shape: []int{out, in}}, raw: [][]byte{weight.Data, zeros.Data, scales.Data}}
	e.make = func() Tensor {
		t := Tensor{DType: I4, Shape: []int{out, in}, Data: make([]byte, out*in/2), ScaleBlock: [2]int{1, group}}
		p.codes(t.Data, weight)
		scale := transpose(scales)
		t.Scale = &scale
		t.Zero = zeroCodes(prefix, out, groups, func(r, g int) byte { return p.zero(zeros, g, r) })
		return t
	}
	return e, made, nil
}

func compressed(m *Model, prefix string, q Quantisation) (*entry, []string, error) {
	made := []string{prefix + ".weight_packed", prefix + ".weight_scale", prefix + ".weight_shape"}
	weight, err := m.find(made[0], 2, I32)
	if err != nil {
		return nil, nil, err
	}
	scales, err := m.find(made[1], 2, F16, BF16, F32)
	if err != nil {
		return nil, nil, err
	}
	var zeros Tensor
	if !q.Symmetric {
		made = append(made, prefix+".weight_zero_point")
		if zeros, err = m.find(made[3], 2, I32); err != nil {
			return nil, nil, err
		}
	}
	if m.has(prefix + ".weight_g_idx") {
		return nil, nil, fmt.Errorf("tensor %.80q: inputs in an order of their own are not supported", prefix+".weight_g_idx")
	}
	out, in, groups := weight.Shape[0], 8*weight.Shape[1], scales.Shape[1]
	group, err := q.groups(weight.Name, in, groups)
	if err != nil {
		return nil, nil, err
	}
	if scales.Shape[0] != out || !q.Symmetric && (zeros.Shape[0] != ceilDiv(out, 8) || zeros.Shape[1] != groups) {
		return nil, nil, fmt.Errorf("tensor %.80q: shape %v does not go with zeros %v and scales %v", weight.Name, weight.Shape, zeros.Shape, scales.Shape)
	}
	e := &entry{tensor: Tensor{DType: I4, Shape: []int{out, in}}, raw: [][]byte{weight.Data, zeros.Data, scales.Data}}
	e.make = func() Tensor {
		t := Tensor{DType: I4, Shape: []int{out, in}, Data: weight.Data, Scale: &scales, ScaleBlock: [2]int{1, group}}
		t.Zero = zeroCodes(prefix, out, groups, func(r, g int) byte {
			if q.Symmetric {
				return 8
			}
			return nibbleAt(zeros.Data, r/8*groups+g, r%8)
		})
		return t
	}
	return e, made, nil
}

// nibbleAt is nibble i of a word.
func nibbleAt(words []byte, word, i int) byte { return words[4*word+i/2] >> (4 * (i % 2)) & 15 }

func zeroCodes(prefix string, rows, groups int, code func(r, g int) byte) *Tensor {
	t := &Tensor{Name: prefix + ".zeros", DType: U8, Shape: []int{rows, groups}, Data: make([]byte, rows*groups)}
	for r := range rows {
		for g := range groups {
			t.Data[r*groups+g] = code(r, g)
		}
	}
	return t
}
