package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// attentionVocab is the number of rows an attention is fed with. The last one
// is all NaN, to poison pages with.
const attentionVocab = 40

// attentionCase is the shape of an attention under test.
type attentionCase struct {
	backend.AttentionSpec
	normed      bool
	rotary      int // elements of a head that are rotated; 0: all
	interleaved bool
	sinks       bool
}

// attentionRows draws rows for an embedding, the last one all NaN.
func (r *rig) attentionRows(cols int) weights.Tensor {
	values := make([]float32, attentionVocab*cols)
	for i := range values {
		values[i] = float32(r.rng.NormFloat64())
		if i >= (attentionVocab-1)*cols {
			values[i] = float32(math.NaN())
		}
	}
	return floats(values, attentionVocab, cols)
}

// rotary is a rotary table of pairs, in float64 and on the backend.
func (r *rig) rotary(pairs int, interleaved bool) (backend.RopeSpec, backend.Rope) {
	spec := backend.RopeSpec{Scale: 1.1, Interleaved: interleaved}
	for i := range pairs {
		spec.Inv = append(spec.Inv, math.Pow(1000, -float64(i)/float64(pairs)))
	}
	rope, err := r.NewRope(spec)
	return spec, must(r.T, rope, err)
}

// normal draws a vector, on the backend and in float64.
func (r *rig) normal(n int) (backend.Vector, []float64) {
	t := randomTensor(r.rng, weights.F32, n)
	return r.vector(t.Float32()...), matrix(t)[0]
}

// newAttention is a backend with one attention op under test: layer 1 of 2.
// Layer 0 gets other rows.
func (s suite) newAttention(t *testing.T, cfg backend.Config, c attentionCase, seed uint64) *sequenceRig {
	r := newRig(t, s, cfg, seed)
	a, oracle := c.AttentionSpec, attentionOracle{}
	cols := (a.Heads + 2*a.KVHeads) * a.HeadDim
	table, other := r.attentionRows(cols), r.attentionRows(cols)
	if c.rotary == 0 {
		c.rotary = a.HeadDim
	}
	oracle.rope, a.Rope = r.rotary(c.rotary/2, c.interleaved)
	a.QNorm, a.KNorm, a.Sinks, a.NormEps = backend.NoVector, backend.NoVector, backend.NoVector, 1e-5
	if c.normed {
		a.QNorm, oracle.qNorm = r.normal(a.HeadDim)
		a.KNorm, oracle.kNorm = r.normal(a.HeadDim)
	}
	if c.sinks {
		a.Sinks, oracle.sinks = r.normal(a.Heads)
	}
	oracle.AttentionSpec = a
	if err := r.NewKV(2, a.KVHeads, a.HeadDim); err != nil {
		t.Fatal(err)
	}
	n := a.Heads * a.HeadDim
	decoy, qkv, y, o := r.buffer(cols), r.buffer(cols), r.buffer(n), r.readBack(n)
	e0, e1 := r.linear(other), r.linear(table)
	r.build(func(p backend.Program) {
		p.Embed(decoy, e0)
		p.Embed(qkv, e1)
		p.StoreKV(qkv, 1, a)
		p.StoreKV(decoy, 0, a)
		p.Attention(y, decoy, 0, a)
		p.Attention(y, qkv, 1, a)
		o.emit(p, y)
	})
	rows := matrix(table)
	run := func(ids []int32, positions []int) [][]float64 { return oracle.run(pick(rows, ids), positions) }
	return &sequenceRig{rig: r, run: run, out: o, tol: s.tol.Attention}
}

func pick(rows [][]float64, ids []int32) [][]float64 {
	var out [][]float64
	for _, id := range ids {
		out = append(out, rows[id])
	}
	return out
}

func (s suite) attention(t *testing.T) {
	for i, c := range []struct {
		heads, kv, dim int
		window         int
		normed         bool
		rotary         int // 0: the whole head
		interleaved    bool
		sinks          bool
	}{
		{1, 1, 32, 0, false, 0, false, false}, {4, 2, 32, 0, true, 0, false, false}, {2, 2, 64, 0, true, 0, false, false}, {3, 1, 64, 0, false, 0, false, false}, {9, 3, 64, 0, false, 0, false, false},
		{4, 1, 80, 0, false, 0, false, false}, {7, 1, 128, 0, false, 0, false, false}, {14, 2, 64, 0, false, 0, false, false}, {8, 1, 96, 0, true, 0, false, false}, {16, 2, 128, 0, true, 0, false, false},
		{4, 2, 64, 1, false, 0, false, false}, {4, 2, 64, 5, true, 0, false, false}, {4, 2, 32, 32, false, 0, false, false}, {6, 2, 80, 40, false, 0, false, false}, {4, 4, 64, 0, false, 32, false, false},
		{8, 2, 64, 0, false, 0, false, true}, {4, 1, 64, 16, false, 0, false, true}, {6, 2, 32, 1, true, 0, false, true},
		{16, 2, 64, 33, false, 0, false, true}, {4, 2, 32, 0, true, 0, true, false}, {4, 4, 64, 40, false, 32, true, true},
	} {
		if i%s.thin() != 0 {
			continue
		}
		t.Run(fmt.Sprintf("heads %d kv %d dim %d window %d rotary %d interleaved %v sinks %v",
			c.heads, c.kv, c.dim, c.window, c.rotary, c.interleaved, c.sinks), func(t *testing.T) {
			cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 100, MaxSeqs: 4, MaxContext: 128, Pages: 12}
			r := s.newAttention(t, cfg, attentionCase{
				AttentionSpec: backend.AttentionSpec{
					Heads: c.heads, KVHeads: c.kv, HeadDim: c.dim, Window: c.window, Scale: float32(1 / math.Sqrt(float64(c.dim))),
				},
				normed: c.normed, rotary: c.rotary, interleaved: c.interleaved, sinks: c.sinks,
			}, uint64(i))
			r.everyWay()
		})
	}
}

// long: see longContext.
func (s suite) long(t *testing.T) {
	cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 512, MaxSeqs: 2, MaxContext: 1024, Pages: 40}
	for i, window := range []int{0, 300} {
		spec := backend.AttentionSpec{Heads: 4, KVHeads: 2, HeadDim: 32, Window: window, Scale: 0.2}
		s.newAttention(t, cfg, attentionCase{AttentionSpec: spec, normed: true, sinks: i == 1}, uint64(i)).longContext()
	}
}

// copies: see fork.
func (s suite) copies(t *testing.T) {
	cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 100, MaxSeqs: 4, MaxContext: 128, Pages: 12}
	spec := backend.AttentionSpec{Heads: 4, KVHeads: 2, HeadDim: 64, Scale: 0.125}
	s.newAttention(t, cfg, attentionCase{AttentionSpec: spec}, 1).fork()
}
