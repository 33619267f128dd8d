package weights

import (
	"fmt"
	"slices"
)

// The companions of a tensor are its Scale and Zero: they go wherever its rows
// and columns go.

// Validate checks that data and companions have the lengths and shapes that the
// tensor's doc comment states. Backends call it before they pack.
func (t Tensor) Validate() error {
	if !t.DType.Valid() || t.Cols()%t.DType.BlockSize() != 0 || len(t.Data) != t.Rows()*t.RowBytes() {
		return fmt.Errorf("tensor %q: %d bytes of %s for shape %v", t.Name, len(t.Data), t.DType, t.Shape)
	}
	if scaled := t.DType == F8E4M3 || t.DType == I4; scaled != (t.Scale != nil) || (t.DType == I4) != (t.Zero != nil) {
		return fmt.Errorf("tensor %q: %s with the wrong companions", t.Name, t.DType)
	}
	if t.Scale == nil {
		return nil
	}
	b := t.ScaleBlock
	if len(t.Shape) != 2 || b[0] < 1 || b[1] < 1 || t.DType == I4 && b[0] != 1 {
		return fmt.Errorf("tensor %q: shape %v with a scale for %v elements", t.Name, t.Shape, b)
	}
	shape := []int{ceilDiv(t.Shape[0], b[0]), ceilDiv(t.Shape[1], b[1])}
	if d := t.Scale.DType; d != F32 && d != F16 && d != BF16 {
		return fmt.Errorf("tensor %q: scales of %s", t.Name, d)
	}
	for _, c := range []*Tensor{t.Scale, t.Zero} {
		if c == nil {
			continue
		}
		if !slices.Equal(c.Shape, shape) || len(c.Data) != c.Rows()*c.RowBytes() {
			return fmt.Errorf("tensor %q: companion %q has shape %v, must be %v", t.Name, c.Name, c.Shape, shape)
		}
	}
	if t.Zero != nil && t.Zero.DType != U8 {
		return fmt.Errorf("tensor %q: zeros of %s", t.Name, t.Zero.DType)
	}
	return nil
}

// applyScale makes weights of row r's codes.
func (t Tensor) applyScale(row []float32, r int) {
	at, group := r/t.ScaleBlock[0], t.ScaleBlock[1]
	scale := make([]float32, t.Scale.Cols())
	t.Scale.Row(scale, at)
	for g, s := range scale {
		part := row[g*group : min((g+1)*group, len(row))]
		zero := float32(0)
		if t.Zero != nil {
			zero = float32(t.Zero.Data[at*len(scale)+g])
		}
		for i, v := range part {
			part[i] = s * (v - zero)
		}
	}
}

// sliceCompanions gives t, which is [from, to) of whole along axis 0 (rows) or
// 1 (columns), its share of the companions. A cut must lie between blocks of
// the scale, unless the whole share is within one block.
func (t *Tensor) sliceCompanions(whole Tensor, axis, from, to int) error {
	if whole.Scale == nil {
		return nil
	}
	block := whole.ScaleBlock[axis]
	first, last := from/block, ceilDiv(to, block)
	if size := whole.Shape[axis]; last-first > 1 && (from%block != 0 || to%block != 0 && to != size) {
		what := [2]string{"rows", "columns"}[axis]
		return fmt.Errorf("tensor %q: %s %d to %d cut a scale's block of %d", whole.Name, what, from, to, block)
	}
	for _, c := range []struct {
		from *Tensor
		to   **Tensor
	}{{whole.Scale, &t.Scale}, {whole.Zero, &t.Zero}} {
		if c.from == nil {
			continue
		}
		slice := c.from.SliceRows
		if axis == 1 {
			slice = c.from.SliceCols
		}
		part, err := slice(first, last)
		if err != nil {
			return err
		}
		*c.to = &part
	}
	return nil
}

// joinCompanions gives t, made of parts below each other (axis 0) or beside
// each other (axis 1), their companions joined. Only the last part may end
// within a block of the scale.
func (t *Tensor) joinCompanions(parts []Tensor, axis int) error {
	t.Scale, t.Zero, t.ScaleBlock = nil, nil, parts[0].ScaleBlock
	if parts[0].Scale == nil {
		return nil
	}
	var scales, zeros []Tensor
	for i, p := range parts {
		if p.ScaleBlock != t.ScaleBlock || p.Scale == nil || (p.Zero == nil) != (parts[0].Zero == nil) {
			return fmt.Errorf("tensor %q: cannot join a scale for %v elements with one for %v", t.Name, t.ScaleBlock, p.ScaleBlock)
		}
		if i < len(parts)-1 && p.Shape[axis]%t.ScaleBlock[axis] != 0 {
			return fmt.Errorf("tensor %q: cannot join behind %d of a scale's block of %d", t.Name, p.Shape[axis], t.ScaleBlock[axis])
		}
		scales = append(scales, *p.Scale)
		if p.Zero != nil {
			zeros = append(zeros, *p.Zero)
		}
	}
	for _, c := range []struct {
		from []Tensor
		to   **Tensor
	}{{scales, &t.Scale}, {zeros, &t.Zero}} {
		if c.from == nil {
			continue
		}
		join := concatCols
		if axis == 0 {
			join = func(name string, parts []Tensor) (Tensor, error) { return ConcatRows(name, parts...) }
		}
		joined, err := join(c.from[0].Name, c.from)
		if err != nil {
			return err
		}
		*c.to = &joined
	}
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
