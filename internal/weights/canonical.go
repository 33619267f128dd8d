package weights

import (
	"fmt"
	"slices"
	"strings"
)

// canonicalise brings the tensors of a folder to one vocabulary: whatever the
// quantisation, a projection is one tensor "….weight" of shape [out, in], and
// an expert's matrices are those of "….mlp.experts.N.".
//
// A quantisation that is not supported leaves the tensors as they are: opening
// a model is not running it, and model.ParseConfig says what is wrong.
func (m *Model) canonicalise() error {
	q, err := ParseQuantisation(m.Config)
	if err != nil {
		return nil
	}
	if err := m.scaleFP8(q); err != nil {
		return err
	}
	if err := m.unpackInt4(q); err != nil {
		return err
	}
	return m.splitStacks()
}

// scaleFP8 gives every FP8 tensor "….weight" its "….weight_scale_inv", which,
// in spite of its name, is what codes are multiplied by (DeepSeek-V3,
// inference/kernel.py, weight_dequant).
func (m *Model) scaleFP8(q Quantisation) error {
	if q.Method != "fp8" {
		return nil
	}
	for _, name := range m.Names() {
		e := m.tensors[name]
		if e == nil || e.tensor.DType != F8E4M3 {
			continue
		}
		scale, err := m.find(name+"_scale_inv", 2, F32, F16, BF16)
		if err != nil {
			return err
		}
		t := e.tensor
		t.Scale, t.ScaleBlock = &scale, q.Block
		if err := t.Validate(); err != nil {
			return err
		}
		delete(m.tensors, name)
		if err := m.replace(name, &entry{tensor: t}, scale.Name); err != nil {
			return err
		}
	}
	return nil
}

// unpackInt4 replaces the packed tensors of a projection by its "….weight".
func (m *Model) unpackInt4(q Quantisation) error {
	packing, ok := packings[q.Method]
	if !ok {
		return nil
	}
	for _, name := range m.Names() {
		prefix, ok := strings.CutSuffix(name, packing.suffix)
		if !ok {
			continue
		}
		e, made, err := packing.unpack(m, prefix, q)
		if err != nil {
			return err
		}
		if err := m.replace(prefix+".weight", e, made...); err != nil {
			return err
		}
	}
	return nil
}

// groups is the number of groups that columns come in, checked against the
// scales there are.
func (q Quantisation) groups(name string, cols, scales int) (group int, err error) {
	group = q.Group
	if group == 0 {
		group = cols
	}
	if ceilDiv(cols, group) != scales {
		return 0, fmt.Errorf("tensor %.80q: %d scales for %d columns in groups of %d", name, scales, cols, group)
	}
	return group, nil
}

// has reports whether all of these tensors are there.
func (m *Model) has(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return m.tensors[name] == nil })
}
