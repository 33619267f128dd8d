//go:build cuda && cgo && linux

package cuda_test

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/cuda/cudatest"
)

// blasPath is the library to test: a real driver has the real one.
func blasPath(t testing.TB) string {
	if path := os.Getenv("REASOND_CUBLASLT"); path != "" || !cudatest.Present() {
		return path
	}
	return cudatest.BLAS(t)
}

func openBLAS(t testing.TB) *cuda.BLAS {
	t.Helper()
	b, err := cuda.OpenBLAS(blasPath(t))
	if errors.Is(err, cuda.ErrNoBLAS) && !cudatest.Present() {
		t.Skip(err)
	}
	ok(t, err)
	t.Cleanup(b.Close)
	return b
}

// bf16 rounds to the nearest bfloat16.
func bf16(v float32) uint16 {
	bits := math.Float32bits(v)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func widen(v uint16) float32 { return math.Float32frombits(uint32(v) << 16) }

// matrix is bfloat16 values with their place on the device.
type matrix struct {
	at     cuda.Ptr
	values []float32
}

func upload(t testing.TB, d *cuda.Device, s *cuda.Stream, values []float32, narrow bool) matrix {
	t.Helper()
	var b []byte
	for i, v := range values {
		if narrow {
			h := bf16(v)
			values[i] = widen(h)
			b = binary.LittleEndian.AppendUint16(b, h)
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	m := matrix{alloc(t, d, int64(len(b))), values}
	ok(t, s.CopyIn(m.at, b))
	return m
}

func (m matrix) download(t testing.TB, s *cuda.Stream, n int, narrow bool) []float32 {
	t.Helper()
	size := 4
	if narrow {
		size = 2
	}
	b := make([]byte, n*size)
	ok(t, s.CopyOut(b, m.at))
	ok(t, s.Sync())
	out := make([]float32, n)
	for i := range out {
		if narrow {
			out[i] = widen(binary.LittleEndian.Uint16(b[2*i:]))
		} else {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	return out
}

func normal(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

func TestBLASMultipliesAsFloat64Does(t *testing.T) {
	for _, tc := range []struct {
		name string
		mul  cuda.MatMul
		beta float32
	}{
		{"bf16", cuda.MatMul{M: 5, N: 24, K: 64}, 0},
		{"float32", cuda.MatMul{M: 17, N: 40, K: 128, Float32: true}, 0},
		{"adding", cuda.MatMul{M: 8, N: 16, K: 32, Float32: true}, 1},
		{"adding in bf16", cuda.MatMul{M: 8, N: 16, K: 32}, 1},
		{"bias", cuda.MatMul{M: 3, N: 32, K: 64, Bias: true}, 0},
		{"bias in float32, adding", cuda.MatMul{M: 3, N: 32, K: 64, Bias: true, Float32: true}, 1},
		{"strides", cuda.MatMul{M: 6, N: 24, K: 32, XStride: 48, YStride: 40}, 0},
		{"a row", cuda.MatMul{M: 1, N: 8, K: 8}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, 0)
			s, b := stream(t, d), openBLAS(t)
			space := alloc(t, d, 1<<20)
			r := rand.New(rand.NewPCG(5, 5))
			mul := tc.mul
			mul.Space = 1 << 20
			xs, ys := max(mul.XStride, mul.K), max(mul.YStride, mul.N)
			x := upload(t, d, s, normal(r, mul.M*xs), true)
			w := upload(t, d, s, normal(r, mul.N*mul.K), true)
			y := upload(t, d, s, normal(r, mul.M*ys), !mul.Float32)
			bias := upload(t, d, s, normal(r, mul.N), !mul.Float32)
			plan := must(b.Plan(mul))(t)
			if again := must(b.Plan(mul))(t); again != plan {
				t.Error("the plan was made twice")
			}
			if plan.Workspace() > 1<<20 {
				t.Errorf("the plan wants %d bytes", plan.Workspace())
			}
			ok(t, plan.Enqueue(s, x.at, w.at, y.at, bias.at, tc.beta, space, 1<<20))
			got := y.download(t, s, mul.M*ys, !mul.Float32)
			for i := range mul.M {
				for j := range ys {
					old, sum, scale := float64(y.values[i*ys+j]), 0.0, 0.0
					if j >= mul.N {
						if got[i*ys+j] != float32(old) {
							t.Fatalf("y[%d][%d], which is no part of it, was overwritten", i, j)
						}
						continue
					}
					for k := range mul.K {
						p := float64(x.values[i*xs+k]) * float64(w.values[j*mul.K+k])
						sum, scale = sum+p, scale+math.Abs(p)
					}
					sum += float64(tc.beta) * old
					if mul.Bias {
						sum += float64(bias.values[j])
					}
					// float32 sums: 2⁻²⁴ an addition; bf16 results: half of 2⁻⁷ of the value.
					tolerance := scale * float64(mul.K) * 0x1p-24
					if !mul.Float32 {
						tolerance += math.Abs(sum)*0x1p-8 + 1e-6
					}
					if diff := math.Abs(float64(got[i*ys+j]) - sum); !(diff <= tolerance+1e-5) {
						t.Fatalf("y[%d][%d] = %g, want %g", i, j, got[i*ys+j], sum)
					}
				}
			}
		})
	}
}

func TestAMultiplicationIsCapturedAndAllocatesNothing(t *testing.T) {
	d := open(t, 0)
	s, b := stream(t, d), openBLAS(t)
	space := alloc(t, d, 1<<16)
	ones := make([]float32, 16*16)
	for i := range ones {
		ones[i] = 1
	}
	x, w := upload(t, d, s, ones, true), upload(t, d, s, ones, true)
	y := upload(t, d, s, make([]float32, 16*16), false)
	plan := must(b.Plan(cuda.MatMul{M: 16, N: 16, K: 16, Float32: true, Space: 1 << 16}))(t)
	add := func() error { return plan.Enqueue(s, x.at, w.at, y.at, 0, 1, space, 1<<16) }
	graph := must(s.Capture(add))(t)
	exec := must(graph.Instantiate())(t)
	ok(t, s.LaunchGraph(exec))
	ok(t, s.LaunchGraph(exec))
	if got := y.download(t, s, 1, false); got[0] != 32 {
		t.Errorf("after two replays y is %g, want 32", got[0])
	}
	ok(t, exec.Close())
	ok(t, graph.Close())
	var err error
	if n := testing.AllocsPerRun(10, func() { err = errors.Join(err, add()) }); n != 0 || err != nil {
		t.Errorf("%g allocations, %v", n, err)
	}
	ok(t, s.Sync())
}

func TestWhatBLASCannotDoIsAnError(t *testing.T) {
	if _, err := cuda.OpenBLAS("/nonexistent/libcublasLt.so"); !errors.Is(err, cuda.ErrNoBLAS) {
		t.Errorf("%v", err)
	}
	open(t, 0)
	if _, err := cuda.OpenBLAS(library("REASOND_CUDA_DRIVER", "libfakecuda.so")); !errors.Is(err, cuda.ErrNoBLAS) {
		t.Errorf("a library of other functions: %v", err)
	}
	b := openBLAS(t)
	for _, mul := range []cuda.MatMul{{M: 0, N: 1, K: 1}, {M: 1, N: 8, K: 8, XStride: 4}, {M: 1, N: 8, K: 8, YStride: 4}} {
		if _, err := b.Plan(mul); err == nil {
			t.Errorf("%+v was planned", mul)
		}
	}
}
