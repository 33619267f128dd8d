package cuda

import (
	"fmt"
	"slices"

	"github.com/reasond/reasond/internal/weights"
)

// Part is a run of a matrix's rows in one format. Offsets are in bytes from the
// matrix's first byte.
type Part struct {
	Format Format
	Rows   int // output columns, without padding
	First  int // the first of them
	Offset int64

	Side       int64 // the side plane, see Format
	SideShift  int   // log2 of the columns that share a side word
	SideStride int   // 1: a side word a row, 0: one for each eight rows
	Bias       int64 // float32 [rows padded to 16], -1: none
}

// padded is the rows with those that fill the last tile.
func (p Part) padded() int { return ceilDiv(p.Rows, tileRows) * tileRows }

// Layout says how a matrix, or each one of a stack of them, lies in memory.
//
// A gated matrix has gate and up rows interleaved by eight, gate first, so that
// a thread of the kernel holds both of an output: Out counts the pairs, its one
// Part the rows (2*Out, rounded up to 16).
type Layout struct {
	In, Out int
	Gated   bool
	Parts   []Part
	Bytes   int64 // of one matrix, a multiple of 256
}

// Matrix is what Layout and Pack need of backend.LinearSpec.
type Matrix struct {
	Parts []weights.Tensor // each [out_i][in], stacked along the output
	Bias  []weights.Tensor // per part, or nil; an empty Tensor: none
	Gated bool             // Parts are gate and up
}

// Weights are one or more packed matrices of one layout in device memory, the
// i-th at Ptr + i*Layout.Bytes.
type Weights struct {
	Layout
	Ptr   Ptr
	Count int
}

// Equal reports whether two matrices can lie in one stack.
func (l Layout) Equal(o Layout) bool {
	return l.In == o.In && l.Out == o.Out && l.Gated == o.Gated && l.Bytes == o.Bytes && slices.Equal(l.Parts, o.Parts)
}

// Dense is the row-major bfloat16 matrix [rows][stride], where the weights are
// one: what a BLAS multiplies with. Rows of a gated matrix are interleaved.
func (w Weights) Dense() (ptr Ptr, rows, stride int, ok bool) {
	if len(w.Parts) != 1 || w.Parts[0].Format != FormatBF16 {
		return 0, 0, 0, false
	}
	return w.Ptr + Ptr(w.Parts[0].Offset), w.Parts[0].Rows, w.stride(), true
}

// stride is a row of the row-major form.
func (l Layout) stride() int { return ceilDiv(l.In, 8) * 8 }

// rows is the rows of the row-major form, those of Dequant's target.
func (l Layout) rows() int {
	last := l.Parts[len(l.Parts)-1]
	return last.First + last.Rows
}

// DenseBytes is the size of a matrix's row-major bfloat16 form, Dequant's target.
func (l Layout) DenseBytes() int64 { return int64(l.rows()) * int64(l.stride()) * 2 }

// NewLayout plans a matrix. Neighbouring parts of one format become one.
func NewLayout(m Matrix) (Layout, error) {
	if len(m.Parts) == 0 {
		return Layout{}, fmt.Errorf("cuda: a matrix without parts")
	}
	if m.Bias != nil && len(m.Bias) != len(m.Parts) {
		return Layout{}, fmt.Errorf("cuda: %d biases of %d parts", len(m.Bias), len(m.Parts))
	}
	l := Layout{In: m.Parts[0].Cols(), Gated: m.Gated}
	for i, t := range m.Parts {
		if t.Cols() != l.In || t.Rows() == 0 || l.In == 0 {
			return Layout{}, fmt.Errorf("cuda: tensor %q is %d by %d, the matrix has %d columns", t.Name, t.Rows(), t.Cols(), l.In)
		}
		if m.Bias != nil && m.Bias[i].Data != nil && m.Bias[i].Elements() != t.Rows() {
			return Layout{}, fmt.Errorf("cuda: tensor %q has %d elements for %d rows", m.Bias[i].Name, m.Bias[i].Elements(), t.Rows())
		}
	}
	runs, err := m.runs()
	if err != nil {
		return Layout{}, err
	}
	biased := slices.ContainsFunc(m.Bias, func(t weights.Tensor) bool { return t.Data != nil })
	var end int64
	place := func(bytes int64) int64 {
		at := end
		end += (bytes + 255) / 256 * 256
		return at
	}
	for _, r := range runs {
		p := Part{Format: r.format, Rows: len(r.rows), First: l.Out, Bias: -1}
		if r.format == FormatBF16 {
			p.Offset = place(int64(p.padded()) * int64(l.stride()) * 2)
		} else {
			steps := ceilDiv(l.In, stepCols)
			p.Offset = place(int64(p.padded()/tileRows) * int64(steps) * int64(r.format.record()))
			p.SideShift, p.SideStride = r.side(l.In)
			if words := p.sideWords(l.In); words > 0 {
				p.Side = place(int64(words) * 4)
			}
		}
		if biased {
			p.Bias = place(int64(p.padded()) * 4)
		}
		l.Out += p.Rows
		l.Parts = append(l.Parts, p)
	}
	if m.Gated {
		l.Out = m.Parts[0].Rows()
	}
	l.Bytes = end
	return l, nil
}

// sideWords is the words of a part's side plane.
func (p Part) sideWords(in int) int {
	if formats[p.Format].side == 0 {
		return 0
	}
	return p.padded() / tileRows * p.sideGroups(in) * p.sideTile()
}

// sideTile is a tile's side words for a group of columns.
func (p Part) sideTile() int {
	if p.SideStride == 1 {
		return tileRows
	}
	return 2
}

// sideGroups is the side words along a row. Steps read whole groups of 32
// columns, those that pad the last step too.
func (p Part) sideGroups(in int) int {
	return ceilDiv(ceilDiv(in, stepCols)*stepCols, 1<<p.SideShift)
}
