package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// These tests look below the backend's conformance suite: at arithmetic that
// its tolerances for int8 and bfloat16 would let slip, and at the pool.

func machine(t *testing.T, isa ISA, threads int, float32 bool, rows int) *Machine {
	t.Helper()
	m, err := New(Config{ISA: isa, Threads: threads, Float32: float32, MaxRows: rows, MaxSeqs: 1, MaxContext: 32, MaxCopies: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

var formatNames = [...]string{"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_K", "Q4_K", "Q6_K", "MXFP4"}

// fileBlocks are bytes and elements of a block in the file.
var fileBlocks = [...][2]int{{4, 1}, {2, 1}, {2, 1}, {34, 32}, {18, 32}, {20, 32}, {176, 256}, {144, 256}, {210, 256}, {17, 32}}

// randomRows is n rows of k weights as a file has them: all bit patterns of the
// codes, scales between 0.002 and 0.004.
func randomRows(r *rand.Rand, format, n, k int) []byte {
	size, elements := fileBlocks[format][0], fileBlocks[format][1]
	data := make([]byte, n*k/elements*size)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for at := 0; at < len(data); at += size {
		scale := func(i int) { data[at+i+1] = data[at+i+1]&0x83 | 0x18 }
		switch format {
		case F32:
			data[at+3] = data[at+3]&0x80 | 0x3c
		case F16:
			data[at+1] = data[at+1]&0x83 | 0x28
		case BF16:
			data[at+1] = data[at+1]&0x80 | 0x3c
		case Q8_0, Q4_0:
			scale(0)
		case Q4_1, Q4_K, Q5_K:
			scale(0)
			scale(2)
		case MXFP4:
			data[at] = byte(118 + r.IntN(4))
		case Q6_K:
			scale(208)
		}
	}
	return data
}

// rounded is what a format's kernels make of an input row: int8 with a scale
// for each 32, bfloat16, or the row itself.
func rounded(m *Machine, format int, x []float32) []float64 {
	out := make([]float64, len(x))
	switch form := m.inputForm(format); form {
	case formI8:
		for at := 0; at < len(x); at += 32 {
			top := float32(1e-30)
			for _, v := range x[at : at+32] {
				top = max(top, v, -v)
			}
			for i, v := range x[at : at+32] {
				q := math.RoundToEven(float64(v * (127 / top)))
				out[at+i] = q * float64(top*(1./127))
			}
		}
	case formBF16:
		for i, v := range x {
			u := math.Float32bits(v)
			out[i] = float64(math.Float32frombits((u + 0x7fff + u>>16&1) &^ 0xffff))
		}
	default:
		for i, v := range x {
			out[i] = float64(v)
		}
	}
	return out
}

// Given the input as it is rounded, the sums are exact to float32 rounding; with
// 4-bit minima on AVX-512, to their rounding to bfloat16.
func TestLinearSumsExactlyWhatItsInputIsRoundedTo(t *testing.T) {
	for _, isa := range Supported() {
		for format, name := range formatNames {
			for _, k := range []int{256, 768, 1536} {
				t.Run(fmt.Sprint(isa, "/", name, "/", k), func(t *testing.T) { linearCase(t, isa, format, k) })
			}
		}
	}
}

func linearCase(t *testing.T, isa ISA, format, k int) {
	const rows, outs = 19, 75
	r := rand.New(rand.NewPCG(uint64(format), uint64(k)))
	m := machine(t, isa, 2, false, rows)
	l, err := m.NewLinear([]Part{{format, outs}}, k, false)
	if err != nil {
		t.Fatal(err)
	}
	l.Pack(0, 0, outs, randomRows(r, format, outs, k), false)
	x, err := m.NewBuffer(rows, k)
	if err != nil {
		t.Fatal(err)
	}
	y, err := m.NewBuffer(rows, outs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.Data {
		x.Data[i] = float32(r.NormFloat64())
		if r.IntN(100) == 0 {
			x.Data[i] *= 20
		}
	}
	if err := m.Ready([]Op{{Kind: LinearOp, Out: y, X: x, Linear: l}}); err != nil {
		t.Fatal(err)
	}
	m.SetCounts(rows, 0, 0, 0)
	m.Forward()
	tolerance := 2e-6
	if isa == AVX512 && format == Q4_1 {
		tolerance = 3e-3
	}
	w := make([]float32, k)
	for n := range outs {
		l.Row(n, w)
		for row := range rows {
			sum, size := 0.0, 0.0
			for i, v := range rounded(m, format, x.Data[row*x.LD:][:k]) {
				sum += v * float64(w[i])
				size += math.Abs(v * float64(w[i]))
			}
			if got := float64(y.Data[row*y.LD+n]); !(math.Abs(got-sum) <= tolerance*size) {
				t.Fatalf("row %d, output %d is %g, must be %g (%.2g of the terms)", row, n, got, sum, math.Abs(got-sum)/size)
			}
		}
	}
}

func TestPackedRowsComeBack(t *testing.T) {
	// Row is compared with package quant by the backend's suite; here, that rows
	// packed in pieces and in any order do not disturb each other.
	const outs, k = 75, 512
	r := rand.New(rand.NewPCG(1, 2))
	for format, name := range formatNames {
		m := machine(t, Generic, 1, true, 1)
		data := randomRows(r, format, outs, k)
		stride := len(data) / outs
		whole, err := m.NewLinear([]Part{{format, outs}}, k, false)
		if err != nil {
			t.Fatal(err)
		}
		pieces, err := m.NewLinear([]Part{{format, outs}}, k, false)
		if err != nil {
			t.Fatal(err)
		}
		whole.Pack(0, 0, outs, data, false)
		for _, row := range r.Perm(outs) {
			pieces.Pack(0, row, 1, data[row*stride:(row+1)*stride], false)
		}
		a, b := make([]float32, k), make([]float32, k)
		for row := range outs {
			whole.Row(row, a)
			pieces.Row(row, b)
			for i := range a {
				if a[i] != b[i] {
					t.Fatalf("%s: row %d differs at %d", name, row, i)
				}
			}
		}
	}
}

func TestPoolRunsEveryChunkOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8, 33} {
		m := machine(t, Generic, threads, false, 1)
		for _, n := range []int{0, 1, 2, 7, 100, 5000} {
			const rounds = 300
			if got := m.CheckPool(n, rounds); got != n*rounds {
				t.Errorf("%d threads: %d chunks of %d ran", threads, got, n*rounds)
			}
		}
	}
}

func TestEveryMachineOfAProcessHasThreadsOfItsOwn(t *testing.T) {
	done := make(chan int)
	for range 4 {
		m := machine(t, Generic, 3, false, 1)
		go func() { done <- m.CheckPool(50, 2000) }()
	}
	for range 4 {
		if got := <-done; got != 50*2000 {
			t.Errorf("%d chunks ran", got)
		}
	}
}
