package backendtest

import (
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// misfits: an op of experts or latents whose shapes do not fit makes Build fail, and
// matrices that do not go together make no stack.
func (s suite) misfits(t *testing.T) {
	build := func(ops func(p backend.Program, h parts)) error { return s.build(t, ops) }
	route := backend.RouterSpec{TopK: 2, Scale: 1, Correction: backend.NoVector}
	act := backend.Activation{}
	if err := build(func(p backend.Program, h parts) {
		p.Route(h.by, h.x, h.router, route)
		p.Experts(h.y, h.x, h.by, h.gateUp, h.down, act, true)
		p.StoreLatent(h.q, h.kv, 0, h.spec)
		p.HeadLinear(h.latent, h.q, h.heads, backend.HeadSpec{XStride: 16, OutStride: 16})
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
		"": func(p backend.Program, h parts) { p.Route(h.by, h.narrow, h.router, route) }, // or it is a Linear first
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
			p.HeadLinear(h.latent, h.q, h.heads, backend.HeadSpec{XStride: 32, OutStride: 16})
		},
		"HeadLinear out": func(p backend.Program, h parts) {
			p.HeadLinear(h.latent, h.q, h.heads, backend.HeadSpec{XStride: 16, OutStride: 15})
		},
		"StoreLatent":             func(p backend.Program, h parts) { p.StoreLatent(h.q, h.x, 0, h.spec) },
		"StoreLatent layer":       func(p backend.Program, h parts) { p.StoreLatent(h.q, h.kv, 1, h.spec) },
		"LatentAttention":         func(p backend.Program, h parts) { p.LatentAttention(h.x, h.latent, h.q, 0, h.spec) },
		"LatentAttention inplace": func(p backend.Program, h parts) { p.LatentAttention(h.latent, h.latent, h.q, 0, h.spec) },
	} {
		op, _, _ := strings.Cut(name, " ")
		if err := build(ops); err == nil || !strings.Contains(err.Error(), op) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// parts are what the ops of misfits are made of.
type parts struct {
	x, y, narrow, q, kv, latent, out backend.Buffer
	router, narrowRouter             backend.Linear
	by                               backend.Routing
	gateUp, down, heads              backend.Stack
	norm                             backend.Vector
	spec                             backend.LatentSpec
}

func (s suite) build(t *testing.T, ops func(p backend.Program, h parts)) error {
	t.Helper()
	b, err := s.open(backend.Config{Float32: s.tol.Float32, MaxRows: 8, MaxSeqs: 2, MaxContext: 64, Pages: 4, Threads: 1})
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
	}{{&h.x, 8}, {&h.y, 8}, {&h.narrow, 7}, {&h.q, 2 * 16}, {&h.kv, 24}, {&h.latent, 2 * 16}, {&h.out, 2 * 16}} {
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
	h.norm, _ = b.NewVector(weights.Tensor{Shape: []int{8}, Data: make([]byte, 32)})
	norm, _ := b.NewVector(weights.Tensor{Shape: []int{16}, Data: make([]byte, 64)})
	rope, _ := b.NewRope(backend.RopeSpec{Inv: []float64{1, 1, 1, 1}, Scale: 1})
	if err := b.NewLatentKV(1, 24); err != nil {
		t.Fatal(err)
	}
	if b.NewLatentKV(1, 24) == nil || b.NewKV(1, 1, 32) == nil {
		t.Error("a second KV was made")
	}
	h.spec = backend.LatentSpec{Heads: 2, Rank: 16, NopeDim: 8, RopeDim: 8, Norm: norm, Rope: rope, Scale: 1}
	for _, bad := range [][]backend.LinearSpec{nil, {gateUp[0], down[0]}, {down[0], heads[0]}} {
		if _, err := b.NewStack(bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("a stack of %d matrices that do not go together: %v", len(bad), err)
		}
	}
	return b.Build(func(p backend.Program) {
		ops(p, h)
		p.Logits(h.x, h.norm, 1e-6, h.router)
	})
}
