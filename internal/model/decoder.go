package model

import (
	"strconv"

	"github.com/reasond/reasond/internal/backend"
)

// block is one pre-norm layer: x += attention(norm(x)); x += mlp(norm(x)).
type block struct {
	attnNorm, mlpNorm backend.Vector
	attention, mlp    branch
}

func newBlock(l *loader, c *Config, layer int, rope backend.Rope) block {
	prefix := "model.layers." + strconv.Itoa(layer) + "."
	b := block{
		attnNorm: l.vector(prefix+"input_layernorm.weight", c.Hidden),
		mlpNorm:  l.vector(prefix+"post_attention_layernorm.weight", c.Hidden),
	}
	if c.Latent.Rank > 0 {
		b.attention = newLatentAttention(l, c, prefix+"self_attn.", rope)
	} else {
		b.attention = newAttention(l, c, prefix+"self_attn.", layer, rope)
	}
	if c.MoE.sparse(layer) {
		b.mlp = newExperts(l, c, prefix+"mlp.")
	} else {
		b.mlp = newMLP(l, c, prefix+"mlp.", c.Intermediate, c.MLPBias)
	}
	return b
}

// decoder loads a pre-norm decoder, which all architectures here are; they
// differ in what their Config switches on.
func decoder(l *loader, c *Config) func(backend.Program) {
	var rope backend.Rope
	if a := c.Latent; a.Rank > 0 {
		rope = l.rope(c.RoPE.Spec(a.RopeDim), a.Interleaved)
		l.latentKV(c.Layers, a.Rank+a.RopeDim)
	} else {
		rope = l.rope(c.RoPE.Spec(c.HeadDim), false)
		l.kv(c.Layers, max(c.KVHeads/l.ranks(), 1), c.HeadDim)
	}
	s := stream{l.buffer("x", c.Hidden), l.buffer("normed", c.Hidden), l.shard.Rank == 0}
	embed := l.table("model.embed_tokens", c)
	var blocks []block
	for i := 0; i < c.Layers && l.err == nil; i++ {
		blocks = append(blocks, newBlock(l, c, i, rope))
	}
	norm := l.vector("model.norm.weight", c.Hidden)
	head := embed
	if !c.TiedEmbeddings {
		head = l.table("lm_head", c)
	}
	return func(p backend.Program) {
		p.Embed(s.x, embed)
		p.AllReduce(s.x)
		for i, b := range blocks {
			p.RMSNorm(s.normed, s.x, b.attnNorm, c.NormEps)
			b.attention.record(p, s, i)
			p.RMSNorm(s.normed, s.x, b.mlpNorm, c.NormEps)
			b.mlp.record(p, s, i)
		}
		p.Logits(s.x, norm, c.NormEps, head)
	}
}
