package model

import (
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// Latent is what multi-head latent attention is made of (DeepSeek-V2, arXiv
// 2405.04434, 2.1). A head's query and key have NopeDim elements that are not
// rotated and RopeDim that are; the latter are one key for all heads.
type Latent struct {
	QueryRank int // of the queries' latents; 0: queries come from the stream itself
	Rank      int // of the keys' and values' latents
	NopeDim   int
	RopeDim   int
	ValueDim  int
	// Interleaved: pairs that turn together are neighbours.
	Interleaved bool
}

// rawLatent is config.json's spelling.
type rawLatent struct {
	QLoraRank      *int64 `json:"q_lora_rank"`
	KVLoraRank     *int64 `json:"kv_lora_rank"`
	QKNopeHeadDim  *int64 `json:"qk_nope_head_dim"`
	QKRopeHeadDim  *int64 `json:"qk_rope_head_dim"`
	VHeadDim       *int64 `json:"v_head_dim"`
	RopeInterleave *bool  `json:"rope_interleave"`
}

func (raw *rawLatent) latent(heads int) (Latent, error) {
	a := Latent{Interleaved: is(raw.RopeInterleave, true)}
	for _, f := range []struct {
		name  string
		value *int64
		to    *int
	}{
		{"kv_lora_rank", raw.KVLoraRank, &a.Rank}, {"qk_nope_head_dim", raw.QKNopeHeadDim, &a.NopeDim},
		{"qk_rope_head_dim", raw.QKRopeHeadDim, &a.RopeDim}, {"v_head_dim", raw.VHeadDim, &a.ValueDim},
	} {
		if err := dim(f.name, f.value, f.to, maxDim); err != nil {
			return a, err
		}
		if int64(heads)*int64(*f.to) > maxDim {
			return a, fmt.Errorf("num_attention_heads %d times %s %d is over %d", heads, f.name, *f.to, maxDim)
		}
	}
	if raw.QLoraRank != nil {
		if err := dim("q_lora_rank", raw.QLoraRank, &a.QueryRank, maxDim); err != nil {
			return a, err
		}
	}
	if a.RopeDim%2 != 0 {
		return a, fmt.Errorf("qk_rope_head_dim is %d, must be even", a.RopeDim)
	}
	return a, nil
}

// latentAttention is multi-head latent attention with absorbed weights: instead
// of making each head's keys and values of the stored latents (kv_b_proj), the
// queries are brought to the latents and the sums of latents to the values.
//
//	q·(W_UK c) = (W_UKᵀ q)·c        Σ p (W_UV c) = W_UV (Σ p c)
type latentAttention struct {
	queryDown, queryUp, store, out backend.Linear
	queryNorm                      backend.Vector
	absorb, values                 backend.Stack // W_UKᵀ [Rank][NopeDim] and W_UV [ValueDim][Rank] of each head
	spec                           backend.LatentSpec
	down, downNormed, q, kv        backend.Buffer
	absorbed, attended, heads      backend.Buffer
	hasDown                        bool
	value                          int
}

// newLatentAttention loads the projections below prefix. Heads are divided
// among the ranks, the latents are the same on all of them.
func newLatentAttention(l *loader, c *Config, prefix string, rope backend.Rope) branch {
	a, n := c.Latent, c.Heads/l.ranks()
	head := a.NopeDim + a.RopeDim
	b := latentAttention{
		store: l.linear(prefix+"kv_a_proj_with_mqa", false,
			weight{name: prefix + "kv_a_proj_with_mqa", out: a.Rank + a.RopeDim, in: c.Hidden, bias: c.QKVBias}),
		out: l.linear(prefix+"o_proj", false,
			weight{name: prefix + "o_proj", out: c.Hidden, in: c.Heads * a.ValueDim, split: weights.SplitRow, bias: c.OBias}),
		spec: backend.LatentSpec{
			Heads: n, Rank: a.Rank, NopeDim: a.NopeDim, RopeDim: a.RopeDim,
			Norm: l.vector(prefix+"kv_a_layernorm.weight", a.Rank), NormEps: latentNormEps,
			Rope: rope, Scale: float32(c.RoPE.attentionScale() / math.Sqrt(float64(head))),
		},
		hasDown: a.QueryRank > 0, value: a.ValueDim,
		q: l.buffer("q", n*head), kv: l.buffer("kv", a.Rank+a.RopeDim), absorbed: l.buffer("absorbed", n*a.Rank),
		attended: l.buffer("attended", n*a.Rank), heads: l.buffer("heads", n*a.ValueDim),
	}
	query := weight{name: prefix + "q_proj", out: c.Heads * head, in: c.Hidden, split: weights.SplitColumn}
	if b.hasDown {
		b.down, b.downNormed = l.buffer("query down", a.QueryRank), l.buffer("query normed", a.QueryRank)
		b.queryDown = l.linear(prefix+"q_a_proj", false, weight{name: prefix + "q_a_proj", out: a.QueryRank, in: c.Hidden, bias: c.QKVBias})
		b.queryNorm = l.vector(prefix+"q_a_layernorm.weight", a.QueryRank)
		query.name, query.in = prefix+"q_b_proj", a.QueryRank
	}
	b.queryUp = l.linear(query.name, false, query)
	b.absorb, b.values = absorb(l, c, prefix)
	return b
}

// latentNormEps is that of the norms of latents: DeepSeek's model code leaves
// its default there, whatever rms_norm_eps says.
const latentNormEps = 1e-6

// absorb makes each of this rank's heads' W_UKᵀ and W_UV of kv_b_proj, whose
// rows are, head by head, NopeDim of keys and ValueDim of values. What has
// scales is dequantised: a transposed block would have its scale along the
// wrong axis.
func absorb(l *loader, c *Config, prefix string) (keys, values backend.Stack) {
	a, n := c.Latent, c.Heads/l.ranks()
	size := a.NopeDim + a.ValueDim
	whole := l.tensor(prefix+"kv_b_proj.weight", c.Heads*size, a.Rank)
	plain := whole
	if whole.DType.Quantised() {
		plain = whole.Plain()
	}
	plain = l.cut(plain, weight{split: weights.SplitColumn})
	if l.err != nil {
		return 0, 0
	}
	var up, down []backend.LinearSpec
	for h := range n {
		k, err := plain.SliceRows(h*size, h*size+a.NopeDim)
		if err != nil {
			l.fail(err)
			return 0, 0
		}
		v, err := plain.SliceRows(h*size+a.NopeDim, (h+1)*size)
		if err != nil {
			l.fail(err)
			return 0, 0
		}
		up = append(up, backend.LinearSpec{Name: fmt.Sprintf("%skv_b_proj.keys.%d", prefix, h), Parts: []weights.Tensor{k.Transposed()}})
		down = append(down, backend.LinearSpec{Name: fmt.Sprintf("%skv_b_proj.values.%d", prefix, h), Parts: []weights.Tensor{v}})
	}
	keys, values = l.newStack(up), l.newStack(down)
	l.src.Release(whole)
	return keys, values
}

func (b latentAttention) record(p backend.Program, s stream, layer int) {
	a, from := b.spec, s.normed
	if b.hasDown {
		p.Linear(b.down, s.normed, b.queryDown, false)
		p.RMSNorm(b.downNormed, b.down, b.queryNorm, latentNormEps)
		from = b.downNormed
	}
	p.Linear(b.q, from, b.queryUp, false)
	p.Linear(b.kv, s.normed, b.store, false)
	p.StoreLatent(b.q, b.kv, layer, a)
	p.HeadLinear(b.absorbed, b.q, b.absorb, backend.HeadSpec{XStride: a.NopeDim + a.RopeDim, OutStride: a.Rank})
	p.LatentAttention(b.attended, b.absorbed, b.q, layer, a)
	p.HeadLinear(b.heads, b.attended, b.values, backend.HeadSpec{XStride: a.Rank, OutStride: b.value})
	s.add(p, b.heads, b.out)
}
