package cpu

import (
	"errors"
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// latents are the pages of latent attention. Their latents are stored twice, as
// keys and as values, each laid out for its product; so pages are made when a
// layer's LatentSpec has told how many of a token's elements are latents.
type latents struct {
	layers, width, rank int
}

var errOneKV = errors.New("cpu: a backend has one KV")

// NewLatentKV implements backend.Backend.
func (b *Backend) NewLatentKV(layers, width int) error {
	if layers < 1 || width < 2 || width > kernels.MaxKey || width%2 != 0 {
		return fmt.Errorf("cpu: latents of %d layers, %d wide; at most %d and even", layers, width, kernels.MaxKey)
	}
	if b.kv != nil || b.latents.layers > 0 {
		return errOneKV
	}
	b.latents = latents{layers: layers, width: width}
	return nil
}

// pages makes the pages on first use; false: rank is not what it was then.
func (r *recorder) pages(rank int) bool {
	b := r.b
	if b.latents.rank > 0 {
		return b.latents.rank == rank
	}
	if rank < 16 || rank%16 != 0 || rank >= b.latents.width {
		return false
	}
	kv, err := b.machine.NewKV(b.latents.layers, b.cfg.Pages, 1, b.latents.width, rank)
	if err != nil && r.err == nil {
		r.err = err
	}
	b.kv, b.latents.rank = kv, rank
	b.kvBytes = b.element() * int64(b.latents.layers) * int64(b.cfg.Pages) * int64((b.latents.width+rank)*backend.PageTokens)
	return err == nil
}

// heads of latent attention: all query heads share one key.
func (r *recorder) latentHeads(q kernels.Buffer, layer int, a backend.LatentSpec) (kernels.Heads, bool) {
	b, norm := r.b, r.vector(a.Norm)
	if a.Rope < 0 || int(a.Rope) >= len(b.ropes) || layer < 0 || layer >= b.latents.layers || a.Rank+a.RopeDim != b.latents.width || !r.pages(a.Rank) {
		return kernels.Heads{}, false
	}
	t := b.ropes[a.Rope]
	return kernels.Heads{
		Heads: a.Heads, KVHeads: 1, Dim: a.Rank + a.RopeDim, VDim: a.Rank, KNorm: norm, NormEps: a.NormEps,
		Rope: t.table, Half: t.half, Interleaved: t.interleaved, Scale: a.Scale, KV: b.kv[layer],
		Tails: q, Tail: a.NopeDim, TailStride: a.NopeDim + a.RopeDim,
	}, a.Heads > 0 && a.NopeDim >= 0 && q.Cols == a.Heads*(a.NopeDim+a.RopeDim) && 2*t.half == a.RopeDim && len(norm) == a.Rank
}

// StoreLatent implements backend.Program.
func (r *recorder) StoreLatent(q, kv backend.Buffer, layer int, a backend.LatentSpec) {
	queries, in := r.buffer(q), r.buffer(kv)
	h, fits := r.latentHeads(queries, layer, a)
	op := kernels.Op{Kind: kernels.StoreLatent, Out: in, X: in, Heads: h}
	r.add(recorded{Op: op, out: kv, x: kv, reads: []backend.Buffer{q}}, fits && q != kv && in.Cols == a.Rank+a.RopeDim)
}

// LatentAttention implements backend.Program.
func (r *recorder) LatentAttention(out, absorbed, q backend.Buffer, layer int, a backend.LatentSpec) {
	o, in, tails := r.buffer(out), r.buffer(absorbed), r.buffer(q)
	h, fits := r.latentHeads(tails, layer, a)
	op := kernels.Op{Kind: kernels.LatentAttention, Out: o, X: in, Heads: h}
	r.add(recorded{Op: op, out: out, x: absorbed, reads: []backend.Buffer{q}},
		fits && in.Cols == a.Heads*a.Rank && o.Cols == in.Cols && out != absorbed && out != q)
}
