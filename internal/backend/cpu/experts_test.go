package cpu_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// Law: a row's bits do not depend on the rows beside it, which share its experts
// or take others and may be more than run at once, nor on threads.
func TestBitsOfMixturesDoNotDependOnThreadsOrBatch(t *testing.T) {
	const n, count = 190, 6 // tokens of a sequence, sequences: 1140 rows
	for _, isa := range kernels.Supported() {
		for _, name := range []string{"qwen3-moe", "gpt-oss", "deepseek-v3"} {
			t.Run(fmt.Sprint(isa, "/", name), func(t *testing.T) {
				var first [][]float32
				for _, threads := range []int{1, 2, 5} {
					cfg := backend.Config{MaxRows: n * count, MaxSeqs: count, MaxContext: 256, Pages: 8 * count, Threads: threads}
					b, err := cpu.NewWithISA(cfg, isa)
					if err != nil {
						t.Fatal(err)
					}
					defer b.Close()
					loadModel(t, b, filepath.Join(models, name))
					d := backendtest.NewDriver(b, cfg, uint64(threads))
					sequence := func(i int) backendtest.Part {
						p := backendtest.Part{Seq: &backendtest.Sequence{Slot: i}, Want: 3}
						for at := range n {
							p.Tokens = append(p.Tokens, int32((at*(7+i)+i*i)%128))
						}
						return p
					}
					step := func(parts ...backendtest.Part) (rows [][]float32) {
						got, err := d.Step(parts...)
						if err != nil {
							t.Fatal(err)
						}
						for i, p := range parts {
							rows = append(rows, got[i].Logits...)
							d.Free(p.Seq)
						}
						return rows
					}
					var parts []backendtest.Part
					var alone [][]float32
					for i := range count {
						alone = append(alone, step(sequence(i))...)
						parts = append(parts, sequence(i))
					}
					if first == nil {
						first = alone
					}
					for i, row := range step(parts...) {
						if !slices.Equal(row, alone[i]) {
							t.Fatalf("%d threads: row %d differs from the sequence's alone", threads, i)
						}
						if !slices.Equal(row, first[i]) {
							t.Fatalf("row %d differs on %d threads", i, threads)
						}
					}
				}
			})
		}
	}
}

// Law: an op of experts or latents whose shapes do not fit makes Build fail, and
// matrices that do not go together make no stack.
func TestMisfitsOfExpertsAreRefused(t *testing.T) {
	route := backend.RouterSpec{TopK: 2, Scale: 1, Correction: backend.NoVector}
	act := backend.Activation{}
	if err := build(t, func(p backend.Program, h parts) {
		p.Route(h.by, h.x, h.router, route)
		p.Experts(h.y, h.x, h.by, h.gateUp, h.down, act, true)
		p.StoreLatent(h.q, h.kv, 0, h.spec)
		p.HeadLinear(h.latent, h.q, h.heads, backend.HeadSpec{XStride: 6, OutStride: 16})
		p.LatentAttention(h.out, h.latent, h.q, 0, h.spec)
	}); err != nil {
		t.Errorf("what fits is refused: %v", err)
	}
	for name, ops := range map[string]func(p backend.Program, h parts){
		"Route": func(p backend.Program, h parts) {
			three := route
			three.TopK = 3
			p.Route(h.by, h.x, h.router, three)
		},
		"Linear": func(p backend.Program, h parts) { p.Route(h.by, h.narrow, h.router, route) },
		"Route of groups": func(p backend.Program, h parts) {
			grouped := route
			grouped.Groups, grouped.TopGroups = 4, 1
			p.Route(h.by, h.x, h.router, grouped)
		},
		"Experts without a router": func(p backend.Program, h parts) { p.Experts(h.y, h.x, h.by, h.gateUp, h.down, act, true) },
		"Experts of another router": func(p backend.Program, h parts) {
			p.Route(h.by, h.x, h.narrowRouter, route)
			p.Experts(h.y, h.x, h.by, h.gateUp, h.down, act, true)
		},
		"Experts in place": func(p backend.Program, h parts) {
			p.Route(h.by, h.x, h.router, route)
			p.Experts(h.x, h.x, h.by, h.gateUp, h.down, act, true)
		},
		"Experts out": func(p backend.Program, h parts) {
			p.Route(h.by, h.x, h.router, route)
			p.Experts(h.narrow, h.x, h.by, h.gateUp, h.down, act, true)
		},
		"Experts order": func(p backend.Program, h parts) {
			p.Route(h.by, h.x, h.router, route)
			p.Experts(h.y, h.x, h.by, h.down, h.gateUp, act, true)
		},
		"HeadLinear": func(p backend.Program, h parts) {
			p.HeadLinear(h.latent, h.q, h.heads, backend.HeadSpec{XStride: 12, OutStride: 16})
		},
		"HeadLinear out": func(p backend.Program, h parts) {
			p.HeadLinear(h.latent, h.q, h.heads, backend.HeadSpec{XStride: 6, OutStride: 15})
		},
		"StoreLatent":             func(p backend.Program, h parts) { p.StoreLatent(h.q, h.x, 0, h.spec) },
		"StoreLatent layer":       func(p backend.Program, h parts) { p.StoreLatent(h.q, h.kv, 1, h.spec) },
		"LatentAttention":         func(p backend.Program, h parts) { p.LatentAttention(h.x, h.latent, h.q, 0, h.spec) },
		"LatentAttention inplace": func(p backend.Program, h parts) { p.LatentAttention(h.latent, h.latent, h.q, 0, h.spec) },
		"there is no stack":       func(p backend.Program, h parts) { p.HeadLinear(h.latent, h.q, 9, backend.HeadSpec{}) },
		"there is no routing":     func(p backend.Program, h parts) { p.Route(-1, h.x, h.router, route) },
	} {
		op, _, _ := strings.Cut(name, " ")
		if err := build(t, ops); err == nil || !strings.Contains(err.Error(), op) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// parts are what the ops of TestMisfits are made of.
type parts struct {
	x, y, narrow, q, kv, latent, out backend.Buffer
	router, narrowRouter             backend.Linear
	by                               backend.Routing
	gateUp, down, heads              backend.Stack
	spec                             backend.LatentSpec
}

func build(t *testing.T, ops func(p backend.Program, h parts)) error {
	t.Helper()
	b, err := cpu.New(backend.Config{MaxRows: 8, MaxSeqs: 2, MaxContext: 64, Pages: 4, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	matrix := func(out, in int) []weights.Tensor {
		return []weights.Tensor{{Name: "m", Shape: []int{out, in}, Data: make([]byte, 4*out*in)}}
	}
	var h parts
	for _, f := range []struct {
		to   *backend.Buffer
		cols int
	}{{&h.x, 8}, {&h.y, 8}, {&h.narrow, 7}, {&h.q, 2 * 6}, {&h.kv, 18}, {&h.latent, 2 * 16}, {&h.out, 2 * 16}} {
		*f.to, _ = b.NewBuffer(f.cols)
	}
	h.router, _ = b.NewLinear(backend.LinearSpec{Name: "router", Parts: matrix(4, 8)})
	h.narrowRouter, _ = b.NewLinear(backend.LinearSpec{Name: "router", Parts: matrix(3, 8)})
	h.by, _ = b.NewRouting(2)
	var gateUp, down, heads []backend.LinearSpec
	for range 4 {
		gateUp = append(gateUp, backend.LinearSpec{Name: "up", Gated: true, Parts: append(matrix(16, 8), matrix(16, 8)...)})
		down = append(down, backend.LinearSpec{Name: "down", Parts: matrix(8, 16)})
	}
	for range 2 {
		heads = append(heads, backend.LinearSpec{Name: "head", Parts: matrix(16, 2)})
	}
	for _, s := range []struct {
		to    *backend.Stack
		specs []backend.LinearSpec
	}{{&h.gateUp, gateUp}, {&h.down, down}, {&h.heads, heads}} {
		if *s.to, err = b.NewStack(s.specs); err != nil {
			t.Fatal(err)
		}
	}
	norm, _ := b.NewVector(weights.Tensor{Shape: []int{16}, Data: make([]byte, 64)})
	rope, _ := b.NewRope(backend.RopeSpec{Inv: []float64{1}, Scale: 1})
	if err := b.NewLatentKV(1, 18); err != nil {
		t.Fatal(err)
	}
	if b.NewLatentKV(1, 18) == nil || b.NewKV(1, 1, 32) == nil {
		t.Error("a second KV was made")
	}
	h.spec = backend.LatentSpec{Heads: 2, Rank: 16, NopeDim: 4, RopeDim: 2, Norm: norm, Rope: rope, Scale: 1}
	for _, bad := range [][]backend.LinearSpec{nil, {gateUp[0], down[0]}, {down[0], heads[0]}} {
		if _, err := b.NewStack(bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("a stack of %d matrices that do not go together: %v", len(bad), err)
		}
	}
	return b.Build(func(p backend.Program) { ops(p, h) })
}
