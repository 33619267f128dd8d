package cpu_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// mixture is a layer of experts whose numbers are all bfloat16, in F32 or BF16.
type mixture struct {
	float32          bool
	act              backend.ActivationKind
	router, gate, up weights.DType
	mixed            bool // gate has up's format in every second expert, the last included
}

// run gives the layer's output for 40 rows.
func (m mixture) run(t *testing.T, isa kernels.ISA) [][]float32 {
	t.Helper()
	const experts, topK, cols, inner, vocab = 9, 3, 96, 80, 40
	cfg := backend.Config{Float32: m.float32, MaxRows: vocab, MaxSeqs: 1, MaxContext: 64, Pages: 2, Threads: 2}
	b, err := cpu.NewWithISA(cfg, isa)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	matrix := func(d weights.DType, shape ...int) weights.Tensor {
		x := weights.Tensor{Name: "m", DType: d, Shape: shape}
		for range x.Elements() {
			u := math.Float32bits(float32(rng.NormFloat64())) &^ 0xffff
			if d == weights.BF16 {
				x.Data = binary.LittleEndian.AppendUint16(x.Data, uint16(u>>16))
			} else {
				x.Data = binary.LittleEndian.AppendUint32(x.Data, u)
			}
		}
		return x
	}
	linear := func(x weights.Tensor) backend.Linear {
		l, err := b.NewLinear(backend.LinearSpec{Name: "l", Parts: []weights.Tensor{x}})
		fail(err)
		return l
	}
	buffer := func() backend.Buffer {
		x, err := b.NewBuffer(cols)
		fail(err)
		return x
	}
	var gateUp, down []backend.LinearSpec
	for e := range experts {
		gate, up := m.gate, m.up
		if m.mixed && e%2 == 0 {
			gate = up
		}
		gateUp = append(gateUp, backend.LinearSpec{Name: "gate_up", Gated: true, Parts: []weights.Tensor{matrix(gate, inner, cols), matrix(up, inner, cols)},
			Bias: []weights.Tensor{matrix(weights.F32, inner), matrix(weights.F32, inner)}})
		down = append(down, backend.LinearSpec{Name: "down", Parts: []weights.Tensor{matrix(weights.F32, cols, inner)}})
	}
	ups, err := b.NewStack(gateUp)
	fail(err)
	downs, err := b.NewStack(down)
	fail(err)
	by, err := b.NewRouting(topK)
	fail(err)
	norm, err := b.NewVector(matrix(weights.F32, cols))
	fail(err)
	x, y, table, router := buffer(), buffer(), linear(matrix(weights.F32, vocab, cols)), linear(matrix(m.router, experts, cols))
	head := linear(matrix(weights.F32, 70, cols))
	fail(b.NewKV(1, 1, 16))
	fail(b.Build(func(p backend.Program) {
		p.Embed(y, table)
		p.RMSNorm(x, y, norm, 1e-5)
		p.Route(by, x, router, backend.RouterSpec{TopK: topK, Normalize: true, Scale: 1, Correction: backend.NoVector})
		p.Experts(y, x, by, ups, downs, backend.Activation{Kind: m.act, Alpha: 1.702, Limit: 7}, true)
		p.Logits(y, norm, 1e-5, head)
	}))
	part := backendtest.Part{Seq: &backendtest.Sequence{}, Want: vocab}
	for i := range vocab {
		part.Tokens = append(part.Tokens, int32(i))
	}
	got, err := backendtest.NewDriver(b, cfg, 1).Step(part)
	fail(err)
	return got[0].Logits
}

// Law: the same numbers give the same bits in float32 whether gate and up share
// a format, and so one matrix, or not.
func TestExpertsOfUnequalFormats(t *testing.T) {
	for _, isa := range kernels.Supported() {
		for _, act := range []backend.ActivationKind{backend.Silu, backend.ClampedSwiGLU} {
			one := mixture{true, act, weights.F32, weights.F32, weights.F32, false}
			want := one.run(t, isa)
			for _, mixed := range []bool{false, true} {
				other := one
				other.gate, other.mixed = weights.BF16, mixed
				for i, row := range other.run(t, isa) {
					if !slices.Equal(row, want[i]) {
						t.Fatalf("%s: %+v: row %d differs", isa, other, i)
					}
				}
			}
		}
	}
}

// Law: a router's input is not rounded, whatever format its weights have.
func TestRoutersAreExact(t *testing.T) {
	for _, isa := range kernels.Supported() {
		t.Run(fmt.Sprint(isa), func(t *testing.T) {
			plain := mixture{router: weights.F32, gate: weights.F32, up: weights.F32}
			want := plain.run(t, isa)
			plain.router = weights.BF16
			for i, row := range plain.run(t, isa) {
				if !slices.Equal(row, want[i]) {
					t.Fatalf("row %d differs", i)
				}
			}
		})
	}
}
