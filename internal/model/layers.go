package model

import (
	"math"
	"strconv"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// attention is grouped-query attention with a merged QKV projection.
type attention struct {
	qkv, out backend.Linear
	spec     backend.AttentionSpec
}

// newAttention loads the projections below prefix, such as
// "model.layers.0.self_attn.". Heads are divided among the ranks.
func newAttention(l *loader, c *Config, prefix string, layer int, rope backend.Rope) attention {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	a := attention{
		qkv: l.linear(prefix+"qkv_proj", false,
			weight{prefix + "q_proj", q, c.Hidden, weights.SplitColumn, c.QKVBias},
			weight{prefix + "k_proj", kv, c.Hidden, weights.SplitColumn, c.QKVBias},
			weight{prefix + "v_proj", kv, c.Hidden, weights.SplitColumn, c.QKVBias}),
		out: l.linear(prefix+"o_proj", false,
			weight{prefix + "o_proj", c.Hidden, q, weights.SplitRow, c.OBias}),
		spec: backend.AttentionSpec{
			Heads: c.Heads / l.ranks(), KVHeads: c.KVHeads / l.ranks(), HeadDim: c.HeadDim,
			QNorm: backend.NoVector, KNorm: backend.NoVector, Sinks: backend.NoVector, NormEps: c.NormEps,
			Rope: rope, Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Window: c.Windows[layer],
		},
	}
	if c.QKNorm {
		a.spec.QNorm = l.vector(prefix+"q_norm", c.HeadDim)
		a.spec.KNorm = l.vector(prefix+"k_norm", c.HeadDim)
	}
	return a
}

// mlp is silu(gate)*up, then down.
type mlp struct{ gateUp, down backend.Linear }

func newMLP(l *loader, c *Config, prefix string) mlp {
	return mlp{
		gateUp: l.linear(prefix+"gate_up_proj", true,
			weight{prefix + "gate_proj", c.Intermediate, c.Hidden, weights.SplitColumn, c.MLPBias},
			weight{prefix + "up_proj", c.Intermediate, c.Hidden, weights.SplitColumn, c.MLPBias}),
		down: l.linear(prefix+"down_proj", false,
			weight{prefix + "down_proj", c.Hidden, c.Intermediate, weights.SplitRow, c.MLPBias}),
	}
}

// block is one pre-norm layer: x += attention(norm(x)); x += mlp(norm(x)).
type block struct {
	attnNorm, mlpNorm backend.Vector
	attention         attention
	mlp               mlp
}

func newBlock(l *loader, c *Config, layer int, rope backend.Rope) block {
	prefix := "model.layers." + strconv.Itoa(layer) + "."
	return block{
		attnNorm:  l.vector(prefix+"input_layernorm", c.Hidden),
		attention: newAttention(l, c, prefix+"self_attn.", layer, rope),
		mlpNorm:   l.vector(prefix+"post_attention_layernorm", c.Hidden),
		mlp:       newMLP(l, c, prefix+"mlp."),
	}
}

// buffers are the activations of a decoder, shared by its layers.
type buffers struct {
	x       backend.Buffer // the residual stream [hidden]
	normed  backend.Buffer // [hidden]
	qkv     backend.Buffer // [(heads+2*kvHeads)*headDim] of this rank
	heads   backend.Buffer // attention's output [heads*headDim] of this rank
	between backend.Buffer // MLP [intermediate] of this rank
}

func newBuffers(l *loader, c *Config) buffers {
	n := l.ranks()
	return buffers{
		x:       l.buffer(c.Hidden),
		normed:  l.buffer(c.Hidden),
		qkv:     l.buffer((c.Heads + 2*c.KVHeads) / n * c.HeadDim),
		heads:   l.buffer(c.Heads / n * c.HeadDim),
		between: l.buffer(c.Intermediate / n),
	}
}

// decoder loads a dense pre-norm decoder, which llama, qwen2 and qwen3 all are;
// they differ in what their Config switches on.
func decoder(l *loader, c *Config) func(backend.Program) {
	rope := l.rope(c.RoPE.Spec(c.HeadDim))
	l.kv(c.Layers, c.KVHeads/l.ranks(), c.HeadDim)
	buf := newBuffers(l, c)
	embed := l.linear("model.embed_tokens", false,
		weight{"model.embed_tokens", c.Vocab, c.Hidden, weights.SplitNone, false})
	var blocks []block
	for i := 0; i < c.Layers && l.err == nil; i++ {
		blocks = append(blocks, newBlock(l, c, i, rope))
	}
	norm := l.vector("model.norm", c.Hidden)
	head := embed
	if !c.TiedEmbeddings {
		head = l.linear("lm_head", false, weight{"lm_head", c.Vocab, c.Hidden, weights.SplitNone, false})
	}
	first := l.shard.Rank == 0
	return func(p backend.Program) {
		p.Embed(buf.x, embed)
		for i, b := range blocks {
			p.RMSNorm(buf.normed, buf.x, b.attnNorm, c.NormEps)
			p.Linear(buf.qkv, buf.normed, b.attention.qkv, false)
			p.StoreKV(buf.qkv, i, b.attention.spec)
			p.Attention(buf.heads, buf.qkv, i, b.attention.spec)
			residual(p, buf.x, buf.heads, b.attention.out, first)

			p.RMSNorm(buf.normed, buf.x, b.mlpNorm, c.NormEps)
			p.GatedMLP(buf.between, buf.normed, b.mlp.gateUp)
			residual(p, buf.x, buf.between, b.mlp.down, first)
		}
		p.Logits(buf.x, norm, c.NormEps, head)
	}
}

// residual adds x·Wᵀ to the residual stream. With several ranks the first one
// adds its part to the stream, the others put theirs in its place, and the sum
// over the ranks is the new stream on all of them.
func residual(p backend.Program, stream, x backend.Buffer, w backend.Linear, first bool) {
	p.Linear(stream, x, w, first)
	p.AllReduce(stream)
}
