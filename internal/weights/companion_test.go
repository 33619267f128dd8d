package weights

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// fp8 is a random F8E4M3 matrix, none of it NaN, with a scale for blocks.
func fp8(rng *rand.Rand, rows, cols int, block [2]int) Tensor {
	t := Tensor{Name: "f", DType: F8E4M3, Shape: []int{rows, cols}, ScaleBlock: block}
	for range rows * cols {
		t.Data = append(t.Data, byte(rng.IntN(2)<<7|rng.IntN(127)))
	}
	scale := ramp(ceilDiv(rows, block[0]), ceilDiv(cols, block[1]))
	t.Scale = &scale
	return t
}

// i4 is a random I4 matrix with groups.
func i4(rng *rand.Rand, rows, cols, group int) Tensor {
	t := Tensor{Name: "i", DType: I4, Shape: []int{rows, cols}, ScaleBlock: [2]int{1, group}}
	for range rows * cols / 2 {
		t.Data = append(t.Data, byte(rng.Uint32()))
	}
	scale := ramp(rows, ceilDiv(cols, group))
	zero := Tensor{Name: "z", DType: U8, Shape: scale.Shape}
	for range scale.Elements() {
		zero.Data = append(zero.Data, byte(rng.IntN(16)))
	}
	t.Scale, t.Zero = &scale, &zero
	return t
}

// The definition, element by element: scales of ramp count up from 0.
func TestCompanionsScaleTheCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	f := fp8(rng, 5, 7, [2]int{2, 4})
	codes := Tensor{DType: F8E4M3, Shape: f.Shape, Data: f.Data}.Float32()
	for i, got := range f.Float32() {
		r, c := i/7, i%7
		if want := codes[i] * float32(r/2*2+c/4); got != want {
			t.Fatalf("F8 row %d column %d is %v, want %v", r, c, got, want)
		}
	}
	q := i4(rng, 3, 12, 4)
	row := make([]float32, 12)
	for r := range 3 {
		q.Row(row, r)
		for c, got := range row {
			code := q.Data[(r*12+c)/2] >> (4 * (c % 2)) & 15
			group := r*3 + c/4
			if want := float32(group) * (float32(code) - float32(q.Zero.Data[group])); got != want {
				t.Fatalf("I4 row %d column %d is %v, want %v", r, c, got, want)
			}
		}
	}
	for _, m := range []Tensor{f, q} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// Slices and cuts hold the whole's numbers; joined again they are the whole.
func TestCompanionsGoWithTheirRowsAndColumns(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for name, m := range map[string]Tensor{
		"fp8": fp8(rng, 16, 32, [2]int{4, 8}), "ragged fp8": fp8(rng, 14, 30, [2]int{4, 8}),
		"i4": i4(rng, 16, 32, 8), "one block": fp8(rng, 16, 32, [2]int{128, 128}),
	} {
		all, rows, cols := m.Float32(), m.Rows(), m.Cols()
		for _, c := range [][2]int{{0, 4}, {4, rows}, {8, 12}, {1, 3}, {rows - 1, rows}} {
			part, err := m.SliceRows(c[0], c[1])
			if err != nil {
				t.Fatalf("%s rows %v: %v", name, c, err)
			}
			if err := part.Validate(); err != nil && m.Rows() == 16 && name != "one block" {
				t.Errorf("%s rows %v: %v", name, c, err)
			}
			if !reflect.DeepEqual(part.Float32(), all[c[0]*cols:c[1]*cols]) {
				t.Errorf("%s rows %v hold other numbers", name, c)
			}
		}
		for _, c := range [][2]int{{0, 8}, {8, cols}, {16, 24}, {2, 6}} {
			part, err := m.SliceCols(c[0], c[1])
			if err != nil {
				t.Fatalf("%s columns %v: %v", name, c, err)
			}
			row := make([]float32, c[1]-c[0])
			for r := range rows {
				if part.Row(row, r); !reflect.DeepEqual(row, all[r*cols+c[0]:r*cols+c[1]]) {
					t.Errorf("%s columns %v of row %d hold other numbers", name, c, r)
				}
			}
		}
		if rows != 16 || name == "one block" {
			continue
		}
		for _, split := range []Split{SplitColumn, SplitRow} {
			var parts []Tensor
			for rank := range 4 {
				part, err := Shard{rank, 4}.Cut(m, split)
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, part)
			}
			join := concatCols
			if split == SplitColumn {
				join = func(name string, parts []Tensor) (Tensor, error) { return ConcatRows(name, parts...) }
			}
			joined, err := join(m.Name, parts)
			if err != nil || !reflect.DeepEqual(joined, m) {
				t.Errorf("%s: %s cuts do not join: %v", name, split, err)
			}
		}
	}
}

func TestCutsWithinABlockOfTheScaleAreRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	f, q := fp8(rng, 16, 32, [2]int{4, 8}), i4(rng, 16, 32, 8)
	half, _ := f.SliceRows(0, 2)
	for name, cut := range map[string]func() (Tensor, error){
		"rows across blocks":    func() (Tensor, error) { return f.SliceRows(2, 6) },
		"rows to within":        func() (Tensor, error) { return f.SliceRows(4, 10) },
		"columns across blocks": func() (Tensor, error) { return f.SliceCols(4, 12) },
		"columns across groups": func() (Tensor, error) { return q.SliceCols(4, 12) },
		"half a byte":           func() (Tensor, error) { return q.SliceCols(1, 7) },
		"join behind a half":    func() (Tensor, error) { return ConcatRows("j", half, f) },
		"join of other blocks":  func() (Tensor, error) { return ConcatRows("j", f, fp8(rng, 16, 32, [2]int{8, 8})) },
	} {
		if _, err := cut(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestWrongCompanionsAreRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	for name, change := range map[string]func(f, q *Tensor){
		"no scale":            func(f, q *Tensor) { f.Scale = nil },
		"no zero":             func(f, q *Tensor) { q.Zero = nil },
		"a zero of fp8":       func(f, q *Tensor) { f.Zero = q.Zero },
		"too few scales":      func(f, q *Tensor) { f.ScaleBlock[0] = 2 },
		"scale of integers":   func(f, q *Tensor) { f.Scale.DType = I32 },
		"zeros too wide":      func(f, q *Tensor) { q.Zero.DType = I32 },
		"a block of 0":        func(f, q *Tensor) { f.ScaleBlock[1] = 0 },
		"groups of rows":      func(f, q *Tensor) { q.ScaleBlock[0] = 2 },
		"a scale without use": func(f, q *Tensor) { f.DType = U8 },
		"data cut short":      func(f, q *Tensor) { q.Data = q.Data[1:] },
	} {
		f, q := fp8(rng, 16, 32, [2]int{4, 8}), i4(rng, 16, 32, 8)
		change(&f, &q)
		if f.Validate() == nil && q.Validate() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
