package model

import (
	"math"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// branch is one half of a layer, attention or MLP: it reads the normalised
// stream and adds its result to the stream.
type branch interface {
	record(p backend.Program, s stream, layer int)
}

// stream is the residual stream [hidden] and its normalised copy. With several
// ranks the first one adds its part to the stream, the others put theirs in its
// place, and the sum over the ranks is the new stream on all of them.
type stream struct {
	x, normed backend.Buffer
	first     bool // this rank adds to the stream
}

// add adds from·Wᵀ to the stream.
func (s stream) add(p backend.Program, from backend.Buffer, w backend.Linear) {
	p.Linear(s.x, from, w, s.first)
	p.AllReduce(s.x)
}

// attention is grouped-query attention with a merged QKV projection.
type attention struct {
	qkv, out   backend.Linear
	spec       backend.AttentionSpec
	row, heads backend.Buffer // qkv [(heads+2*kvHeads)*headDim] and the output [heads*headDim] of this rank
}

// newAttention loads the projections below prefix, such as
// "model.layers.0.self_attn.". Heads are divided among the ranks; where there
// are fewer key-value heads than ranks, ranks hold the same one.
func newAttention(l *loader, c *Config, prefix string, layer int, rope backend.Rope) branch {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	n := l.ranks()
	heads, kvHeads, copies := c.Heads/n, max(c.KVHeads/n, 1), max(n/c.KVHeads, 1)
	a := attention{
		qkv: l.linear(prefix+"qkv_proj", false,
			weight{name: prefix + "q_proj", out: q, in: c.Hidden, split: weights.SplitColumn, bias: c.QKVBias},
			weight{name: prefix + "k_proj", out: kv, in: c.Hidden, split: weights.SplitColumn, bias: c.QKVBias, copies: copies},
			weight{name: prefix + "v_proj", out: kv, in: c.Hidden, split: weights.SplitColumn, bias: c.QKVBias, copies: copies}),
		out: l.linear(prefix+"o_proj", false,
			weight{name: prefix + "o_proj", out: c.Hidden, in: q, split: weights.SplitRow, bias: c.OBias}),
		spec: backend.AttentionSpec{
			Heads: heads, KVHeads: kvHeads, HeadDim: c.HeadDim,
			QNorm: backend.NoVector, KNorm: backend.NoVector, Sinks: backend.NoVector, NormEps: c.NormEps,
			Rope: rope, Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Window: c.Windows[layer],
		},
		row:   l.buffer("qkv", (heads+2*kvHeads)*c.HeadDim),
		heads: l.buffer("heads", heads*c.HeadDim),
	}
	if c.QKNorm {
		a.spec.QNorm = l.vector(prefix+"q_norm.weight", c.HeadDim)
		a.spec.KNorm = l.vector(prefix+"k_norm.weight", c.HeadDim)
	}
	if c.Sinks {
		a.spec.Sinks = l.share(prefix+"sinks", c.Heads)
	}
	return a
}

func (a attention) record(p backend.Program, s stream, layer int) {
	p.Linear(a.row, s.normed, a.qkv, false)
	p.StoreKV(a.row, layer, a.spec)
	p.Attention(a.heads, a.row, layer, a.spec)
	s.add(p, a.heads, a.out)
}

// mlp is silu(gate)*up, then down.
type mlp struct {
	gateUp, down backend.Linear
	between      backend.Buffer // [intermediate] of this rank
}

func newMLP(l *loader, c *Config, prefix string, intermediate int, bias bool) mlp {
	return mlp{
		gateUp:  l.linear(prefix+"gate_up_proj", true, gateUpWeights(c, prefix, intermediate, bias)...),
		down:    l.linear(prefix+"down_proj", false, downWeights(c, prefix, intermediate, bias)...),
		between: l.buffer("between", intermediate/l.ranks()),
	}
}

func gateUpWeights(c *Config, prefix string, intermediate int, bias bool) []weight {
	return []weight{
		{name: prefix + "gate_proj", out: intermediate, in: c.Hidden, split: weights.SplitColumn, bias: bias},
		{name: prefix + "up_proj", out: intermediate, in: c.Hidden, split: weights.SplitColumn, bias: bias},
	}
}

func downWeights(c *Config, prefix string, intermediate int, bias bool) []weight {
	return []weight{{name: prefix + "down_proj", out: c.Hidden, in: intermediate, split: weights.SplitRow, bias: bias}}
}

func (m mlp) record(p backend.Program, s stream, _ int) {
	p.GatedMLP(m.between, s.normed, m.gateUp)
	s.add(p, m.between, m.down)
}
