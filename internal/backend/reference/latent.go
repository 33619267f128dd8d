package reference

import (
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/backend"
)

// latents is the paged cache of latent attention: for each layer and page
// [PageTokens][width].
type latents struct {
	layers, pages, width int
	data                 []float32
}

func (c *latents) token(layer, page, at int) []float32 {
	from := ((layer*c.pages+page)*backend.PageTokens + at) * c.width
	return c.data[from : from+c.width]
}

func (c *latents) copyPage(src, dst int) {
	for layer := range c.layers {
		for at := range backend.PageTokens {
			copy(c.token(layer, dst, at), c.token(layer, src, at))
		}
	}
}

// NewLatentKV implements backend.Backend.
func (b *Backend) NewLatentKV(layers, width int) error {
	if layers < 1 || width < 1 {
		return fmt.Errorf("reference: latents of %d layers, %d wide", layers, width)
	}
	if b.hasKV() {
		return errOneKV
	}
	b.latents = latents{layers, b.cfg.Pages, width, make([]float32, layers*b.cfg.Pages*backend.PageTokens*width)}
	return nil
}

func (p *program) latentFits(q buffer, layer int, a backend.LatentSpec) bool {
	b := p.b
	return a.Heads > 0 && a.NopeDim >= 0 && q.cols == a.Heads*(a.NopeDim+a.RopeDim) && a.Rank+a.RopeDim == b.latents.width &&
		layer >= 0 && layer < b.latents.layers && 2*b.ropes[a.Rope].pairs == a.RopeDim && len(b.vectors[a.Norm]) == a.Rank
}

// StoreLatent implements backend.Program.
func (p *program) StoreLatent(q, kv backend.Buffer, layer int, a backend.LatentSpec) {
	b := p.b
	queries, in := b.buffers[q], b.buffers[kv]
	p.add("StoreLatent", p.latentFits(queries, layer, a) && in.cols == a.Rank+a.RopeDim, func() {
		rope, norm := b.ropes[a.Rope], b.vectors[a.Norm]
		for r := range b.batch.Rows {
			pos, row := int(b.batch.Pos[r]), in.row(r)
			rmsNorm(row[:a.Rank], row[:a.Rank], norm, a.NormEps)
			rope.rotate(row[a.Rank:], pos)
			copy(b.latents.token(layer, b.pageOf(r, pos), pos%backend.PageTokens), row)
			for x := queries.row(r); len(x) > 0; x = x[a.NopeDim+a.RopeDim:] {
				rope.rotate(x[a.NopeDim:a.NopeDim+a.RopeDim], pos)
			}
		}
	})
}

// LatentAttention implements backend.Program.
func (p *program) LatentAttention(out, absorbed, q backend.Buffer, layer int, a backend.LatentSpec) {
	b := p.b
	o, latent, tails := b.buffers[out], b.buffers[absorbed], b.buffers[q]
	fits := p.latentFits(tails, layer, a) && latent.cols == a.Heads*a.Rank && o.cols == a.Heads*a.Rank && out != absorbed && out != q
	p.add("LatentAttention", fits, func() {
		b.parallel(b.batch.Rows, func(from, to int) {
			for r := from; r < to; r++ {
				for h := range a.Heads {
					tail := tails.row(r)[h*(a.NopeDim+a.RopeDim)+a.NopeDim:][:a.RopeDim]
					at, next := h*a.Rank, (h+1)*a.Rank
					b.attendLatents(o.row(r)[at:next], latent.row(r)[at:next], tail, layer, a, r)
				}
			}
		})
	})
}

// attendLatents is one head's attention for row r: out = softmax([latent|tail]·K)·V.
func (b *Backend) attendLatents(out, latent, tail []float32, layer int, a backend.LatentSpec, r int) {
	score := make([]float64, b.batch.Pos[r]+1)
	stored := func(p int) []float32 {
		return b.latents.token(layer, b.pageOf(r, p), p%backend.PageTokens)
	}
	top := math.Inf(-1)
	for p := range score {
		key, sum := stored(p), 0.0
		for i, v := range latent {
			sum += float64(v) * float64(key[i])
		}
		for i, v := range tail {
			sum += float64(v) * float64(key[a.Rank+i])
		}
		score[p] = sum * float64(a.Scale)
		top = math.Max(top, score[p])
	}
	sums, total := make([]float64, a.Rank), 0.0
	for p, s := range score {
		weight := math.Exp(s - top)
		total += weight
		for i, v := range stored(p)[:a.Rank] {
			sums[i] += weight * float64(v)
		}
	}
	for i, s := range sums {
		out[i] = float32(s / total)
	}
}
