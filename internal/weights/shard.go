package weights

import "fmt"

// Split says how a weight is divided among the ranks of tensor parallelism.
type Split uint8

const (
	// SplitNone: every rank holds the whole.
	SplitNone Split = iota
	// SplitColumn: the output rows (and the bias's elements) are divided, each
	// rank computes its part of the output.
	SplitColumn
	// SplitRow: the input columns are divided, the ranks' outputs are summed.
	SplitRow
)

// String names the split.
func (s Split) String() string {
	switch s {
	case SplitNone:
		return "none"
	case SplitColumn:
		return "column"
	case SplitRow:
		return "row"
	}
	return fmt.Sprintf("Split(%d)", uint8(s))
}

// Shard is one rank of a tensor-parallel group. Size 1 (or the zero value) is
// the whole model.
type Shard struct{ Rank, Size int }

// Cut is this rank's part of t. Without groups the divided dimension is cut
// into Size equal parts. Groups are the sizes of consecutive parts of that
// dimension that are divided each by itself, such as the q, k and v rows of a
// merged projection; they must add up to it. Cut refuses what does not divide,
// and a tensor that would be cut within a block, its own or a companion's. At Size 1 it returns t
// as it is. The result may alias t.
//
// A vector is cut by SplitColumn (a bias goes with the output rows). SplitRow
// refuses a vector: such a bias must be added once, by one rank.
func (s Shard) Cut(t Tensor, sp Split, groups ...int) (Tensor, error) {
	if s.Size <= 1 || sp == SplitNone {
		return t, nil
	}
	if s.Rank < 0 || s.Rank >= s.Size {
		return Tensor{}, fmt.Errorf("shard: rank %d of %d", s.Rank, s.Size)
	}
	rows := sp == SplitColumn && len(t.Shape) == 2
	if sp == SplitRow && len(t.Shape) != 2 {
		return Tensor{}, fmt.Errorf("tensor %q: a row split needs a matrix, its shape is %v", t.Name, t.Shape)
	}
	size, slice := t.Cols(), t.SliceCols
	if rows {
		size, slice = t.Rows(), t.SliceRows
	}
	if len(groups) == 0 {
		groups = []int{size}
	}
	parts := make([]Tensor, 0, len(groups))
	start := 0
	for _, n := range groups {
		if n < 0 || n > size-start {
			return Tensor{}, fmt.Errorf("tensor %q: groups %v do not add up to %d", t.Name, groups, size)
		}
		if n%s.Size != 0 {
			return Tensor{}, fmt.Errorf("tensor %q: %d does not divide among %d ranks", t.Name, n, s.Size)
		}
		from := start + n/s.Size*s.Rank
		part, err := slice(from, from+n/s.Size)
		if err != nil {
			return Tensor{}, err
		}
		parts = append(parts, part)
		start += n
	}
	if start != size {
		return Tensor{}, fmt.Errorf("tensor %q: groups %v do not add up to %d", t.Name, groups, size)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	if rows {
		return ConcatRows(t.Name, parts...)
	}
	return concatCols(t.Name, parts)
}

// ConcatRows puts matrices with equal columns and format below each other, or
// vectors behind each other, in a new tensor. It is how projections are merged.
func ConcatRows(name string, parts ...Tensor) (Tensor, error) {
	if len(parts) == 0 {
		return Tensor{}, fmt.Errorf("tensor %q: nothing to join", name)
	}
	first := parts[0]
	out := Tensor{Name: name, DType: first.DType, Shape: append([]int(nil), first.Shape...)}
	size := 0
	for i, p := range parts {
		if p.DType != first.DType || len(p.Shape) != len(first.Shape) || len(p.Shape) < 1 || len(p.Shape) > 2 ||
			len(p.Shape) == 2 && p.Cols() != first.Cols() {
			return Tensor{}, fmt.Errorf("tensor %q: cannot join %s %v with %s %v", name, first.DType, first.Shape, p.DType, p.Shape)
		}
		if i > 0 {
			out.Shape[0] += p.Shape[0]
		}
		size += len(p.Data)
	}
	out.Data = make([]byte, 0, size)
	for _, p := range parts {
		out.Data = append(out.Data, p.Data...)
	}
	return out, out.joinCompanions(parts, 0)
}

// concatCols puts tensors with equal rows and format beside each other.
func concatCols(name string, parts []Tensor) (Tensor, error) {
	out := parts[0]
	out.Name, out.Data = name, nil
	cols := 0
	for _, p := range parts {
		cols += p.Cols()
	}
	for r := range out.Rows() {
		for _, p := range parts {
			n := p.RowBytes()
			out.Data = append(out.Data, p.Data[r*n:(r+1)*n]...)
		}
	}
	out.Shape = append([]int(nil), out.Shape...)
	out.Shape[len(out.Shape)-1] = cols
	return out, out.joinCompanions(parts, len(out.Shape)-1)
}
