package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/reasond/reasond/internal/backend"
)

// latentOracle is the mathematics of latent attention over rows of a sequence.
type latentOracle struct {
	backend.LatentSpec
	rope               backend.RopeSpec
	norm               []float64
	q, latent, entries [][]float64 // tables by token: queries, absorbed queries, rows to store
}

func (a latentOracle) run(ids []int32, positions []int) [][]float64 {
	var keys, values [][]float64
	for pos, row := range pick(a.entries, ids) {
		value := rmsNorm(row[:a.Rank], a.norm, float64(a.NormEps))
		tail := append([]float64(nil), row[a.Rank:]...)
		rotate(tail, a.rope, pos)
		keys, values = append(keys, append(append([]float64(nil), value...), tail...)), append(values, value)
	}
	out := make([][]float64, len(positions))
	for i, pos := range positions {
		q, latent := a.q[ids[pos]], a.latent[ids[pos]]
		for h := range a.Heads {
			tail := append([]float64(nil), q[h*(a.NopeDim+a.RopeDim)+a.NopeDim:][:a.RopeDim]...)
			rotate(tail, a.rope, pos)
			query := append(append([]float64(nil), latent[h*a.Rank:(h+1)*a.Rank]...), tail...)
			out[i] = append(out[i], attend(query, keys[:pos+1], values[:pos+1], float64(a.Scale), nil)...)
		}
	}
	return out
}

// newLatent is a backend with one latent attention under test, layer 1 of 2;
// layer 0 gets other rows.
func (s suite) newLatent(t *testing.T, cfg backend.Config, a backend.LatentSpec, interleaved bool, seed uint64) *sequenceRig {
	r := newRig(t, s, cfg, seed)
	oracle := latentOracle{}
	oracle.rope, a.Rope = r.rotary(a.RopeDim/2, interleaved)
	a.NormEps = 1e-5
	a.Norm, oracle.norm = r.normal(a.Rank)
	oracle.LatentSpec = a
	if err := r.NewLatentKV(2, a.Rank+a.RopeDim); err != nil {
		t.Fatal(err)
	}
	qCols, kvCols, n := a.Heads*(a.NopeDim+a.RopeDim), a.Rank+a.RopeDim, a.Heads*a.Rank
	qTable, kvTable, latentTable, other := r.attentionRows(qCols), r.attentionRows(kvCols), r.attentionRows(n), r.attentionRows(kvCols)
	oracle.q, oracle.latent, oracle.entries = matrix(qTable), matrix(latentTable), matrix(kvTable)
	q, kv, absorbed, y, o := r.buffer(qCols), r.buffer(kvCols), r.buffer(n), r.buffer(n), r.readBack(n)
	decoyQ, decoy := r.buffer(qCols), r.buffer(kvCols)
	eq, ekv, ea, eo := r.linear(qTable), r.linear(kvTable), r.linear(latentTable), r.linear(other)
	r.build(func(p backend.Program) {
		p.Embed(q, eq)
		p.Embed(decoyQ, eq)
		p.Embed(kv, ekv)
		p.Embed(decoy, eo)
		p.Embed(absorbed, ea)
		p.StoreLatent(q, kv, 1, a)
		p.StoreLatent(decoyQ, decoy, 0, a)
		p.LatentAttention(y, absorbed, decoyQ, 0, a)
		p.LatentAttention(y, absorbed, q, 1, a)
		o.emit(p, y)
	})
	return &sequenceRig{rig: r, run: oracle.run, out: o, tol: s.tol.Attention}
}

// latent checks latent attention alone, in chunks, in changing batches, over
// long contexts and across a fork.
func (s suite) latent(t *testing.T) {
	for i, c := range []struct {
		heads, rank, nope, rope int
		interleaved             bool
	}{
		{1, 32, 16, 16, false}, {4, 64, 32, 16, true}, {8, 128, 64, 32, true}, {16, 96, 32, 32, true}, {3, 64, 64, 64, false}, {2, 512, 128, 64, true},
	} {
		if i%s.thin() != 0 {
			continue
		}
		t.Run(fmt.Sprintf("heads %d rank %d nope %d rope %d interleaved %v", c.heads, c.rank, c.nope, c.rope, c.interleaved), func(t *testing.T) {
			cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 100, MaxSeqs: 4, MaxContext: 128, Pages: 12}
			s.newLatent(t, cfg, latentSpec(c.heads, c.rank, c.nope, c.rope), c.interleaved, uint64(i)).everyWay()
		})
	}
	t.Run("long", func(t *testing.T) {
		cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 512, MaxSeqs: 2, MaxContext: 1024, Pages: 40}
		s.newLatent(t, cfg, latentSpec(4, 64, 32, 16), true, 20).longContext()
	})
	t.Run("fork", func(t *testing.T) {
		cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 100, MaxSeqs: 4, MaxContext: 128, Pages: 12}
		s.newLatent(t, cfg, latentSpec(4, 64, 32, 16), true, 21).fork()
	})
}

func latentSpec(heads, rank, nope, rope int) backend.LatentSpec {
	return backend.LatentSpec{Heads: heads, Rank: rank, NopeDim: nope, RopeDim: rope, Scale: float32(1 / math.Sqrt(float64(rank+rope)))}
}
