package weights

import (
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"testing"
)

// ramp is an F32 tensor whose elements count up from 0.
func ramp(shape ...int) Tensor {
	t := Tensor{Name: "t", DType: F32, Shape: shape}
	for i := range t.Elements() {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(float32(i)))
	}
	return t
}

// q8 is a Q8_0 tensor, scale 1, whose elements count up modulo 100.
func q8(rows, cols int) Tensor {
	t := Tensor{Name: "q", DType: Q8_0, Shape: []int{rows, cols}}
	for i := range rows * cols {
		if i%32 == 0 {
			t.Data = append(t.Data, 0x00, 0x3c)
		}
		t.Data = append(t.Data, byte(i%100))
	}
	return t
}

func TestSlicesHoldTheSameNumbers(t *testing.T) {
	for _, whole := range []Tensor{ramp(6, 96), q8(6, 96)} {
		all := whole.Float32()
		rows, err := whole.SliceRows(2, 5)
		if err != nil {
			t.Fatal(err)
		}
		if got := rows.Float32(); !reflect.DeepEqual(got, all[2*96:5*96]) || rows.Rows() != 3 {
			t.Errorf("%s rows 2 to 5: %v", whole.DType, got)
		}
		cols, err := whole.SliceCols(32, 96)
		if err != nil {
			t.Fatal(err)
		}
		row := make([]float32, 64)
		for r := range 6 {
			if cols.Row(row, r); !reflect.DeepEqual(row, all[r*96+32:r*96+96]) {
				t.Errorf("%s columns 32 to 96 of row %d: %v", whole.DType, r, row)
			}
		}
	}
}

func TestSlicesOutsideOrInsideABlockAreRefused(t *testing.T) {
	q := q8(4, 64)
	for name, slice := range map[string]func() (Tensor, error){
		"rows past the end":    func() (Tensor, error) { return q.SliceRows(2, 5) },
		"rows backwards":       func() (Tensor, error) { return q.SliceRows(3, 2) },
		"rows of a vector":     func() (Tensor, error) { return ramp(8).SliceRows(0, 1) },
		"negative rows":        func() (Tensor, error) { return q.SliceRows(-1, 2) },
		"columns past the end": func() (Tensor, error) { return q.SliceCols(32, 96) },
		"columns cut a block":  func() (Tensor, error) { return q.SliceCols(0, 16) },
	} {
		if _, err := slice(); err == nil || !strings.Contains(err.Error(), "tensor") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Joined again, the ranks' cuts are the whole.
func TestCutsJoinToTheWhole(t *testing.T) {
	for _, whole := range []Tensor{ramp(8, 128), q8(8, 128)} {
		var parts, groups []Tensor
		for rank := range 4 {
			part, err := Shard{rank, 4}.Cut(whole, SplitColumn)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, part)
			if part, err = (Shard{rank % 2, 2}).Cut(whole, SplitColumn, 4, 2, 2); err != nil {
				t.Fatal(err)
			}
			groups = append(groups, part)
		}
		joined, err := ConcatRows("t", parts...)
		if err != nil || !reflect.DeepEqual(joined.Float32(), whole.Float32()) || !reflect.DeepEqual(joined.Shape, whole.Shape) {
			t.Errorf("%s: column cuts do not join: %v", whole.DType, err)
		}
		all := whole.Float32()
		want := append(append(append([]float32{}, all[2*128:4*128]...), all[5*128:6*128]...), all[7*128:]...)
		if got := groups[1].Float32(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: rank 1 of groups 4, 2, 2 holds %v", whole.DType, got)
		}
		parts = nil
		for rank := range 4 {
			part, err := Shard{rank, 4}.Cut(whole, SplitRow)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, part)
		}
		joined, err = concatCols("t", parts)
		if err != nil || !reflect.DeepEqual(joined.Float32(), all) || !reflect.DeepEqual(joined.Shape, whole.Shape) {
			t.Errorf("%s: row cuts do not join: %v", whole.DType, err)
		}
	}
	bias, err := Shard{1, 2}.Cut(ramp(8), SplitColumn)
	if err != nil || !reflect.DeepEqual(bias.Float32(), []float32{4, 5, 6, 7}) {
		t.Errorf("bias: %v %v", bias.Float32(), err)
	}
}

func TestSizeOneAndNoSplitKeepTheTensor(t *testing.T) {
	whole := ramp(3, 5)
	for _, s := range []Shard{{}, {0, 1}} {
		if got, err := s.Cut(whole, SplitColumn, 99); err != nil || !reflect.DeepEqual(got, whole) {
			t.Errorf("%v: %v", s, err)
		}
	}
	if got, err := (Shard{1, 2}).Cut(whole, SplitNone); err != nil || !reflect.DeepEqual(got, whole) {
		t.Error(err)
	}
}

func TestCutRefusesWhatDoesNotDivide(t *testing.T) {
	two := Shard{0, 2}
	for name, cut := range map[string]func() (Tensor, error){
		"odd rows":             func() (Tensor, error) { return two.Cut(ramp(3, 4), SplitColumn) },
		"odd columns":          func() (Tensor, error) { return two.Cut(ramp(4, 3), SplitRow) },
		"half a block":         func() (Tensor, error) { return two.Cut(q8(2, 32), SplitRow) },
		"a row split vector":   func() (Tensor, error) { return two.Cut(ramp(4), SplitRow) },
		"rank out of range":    func() (Tensor, error) { return Shard{2, 2}.Cut(ramp(4, 4), SplitColumn) },
		"negative rank":        func() (Tensor, error) { return Shard{-1, 2}.Cut(ramp(4, 4), SplitColumn) },
		"groups fall short":    func() (Tensor, error) { return two.Cut(ramp(8, 4), SplitColumn, 2, 4) },
		"groups go beyond":     func() (Tensor, error) { return two.Cut(ramp(8, 4), SplitColumn, 4, 6) },
		"a negative group":     func() (Tensor, error) { return two.Cut(ramp(8, 4), SplitColumn, 10, -2) },
		"an odd group":         func() (Tensor, error) { return two.Cut(ramp(8, 4), SplitColumn, 5, 3) },
		"join of two formats":  func() (Tensor, error) { return ConcatRows("j", ramp(2, 32), q8(2, 32)) },
		"join of other widths": func() (Tensor, error) { return ConcatRows("j", ramp(2, 32), ramp(2, 64)) },
		"join of nothing":      func() (Tensor, error) { return ConcatRows("j") },
	} {
		if _, err := cut(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
