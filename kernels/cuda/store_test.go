//go:build cuda && cgo && linux

package cuda_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/reasond/reasond/kernels/cuda"
)

// spin is a rotary table of n elements for positions below a limit.
type spin struct {
	cuda.Rope
	angle func(pos, pair int) float64
	scale float64
}

func (r *rig) spin(positions, n int, interleaved bool) spin {
	s := spin{scale: 1.1, angle: func(pos, pair int) float64 { return float64(pos) * math.Pow(1000, -2*float64(pair)/float64(n)) }}
	s.Rotary, s.Interleaved = n, interleaved
	if n == 0 {
		return s
	}
	var cos, sin []float64
	for pos := range positions {
		for i := range n / 2 {
			cos, sin = append(cos, s.scale*math.Cos(s.angle(pos, i))), append(sin, s.scale*math.Sin(s.angle(pos, i)))
		}
	}
	s.Cos, s.Sin = r.elements(cuda.ElemF32, cos), r.elements(cuda.ElemF32, sin)
	return s
}

// rotate turns a copy of x as numbers of the complex plane.
func (s spin) rotate(x []float64, pos int) []float64 {
	out, half := slices.Clone(x), s.Rotary/2
	for i := range half {
		z := complex(x[i], x[i+half])
		if s.Interleaved {
			z = complex(x[2*i], x[2*i+1])
		}
		z *= complex(s.scale*math.Cos(s.angle(pos, i)), s.scale*math.Sin(s.angle(pos, i)))
		out[i], out[i+half] = real(z), imag(z)
	}
	return out
}

// storeTolerance: results are rounded to bfloat16 once.
const storeTolerance = 1.0 / 256

func TestStoreKV(t *testing.T) {
	for _, c := range []struct {
		heads, kv, dim, rotary int
		interleaved, normed    bool
	}{
		{4, 2, 64, 64, false, false}, {7, 1, 128, 128, false, true}, {3, 3, 32, 32, true, false}, {2, 1, 16, 16, true, true},
		{4, 2, 80, 20, false, true}, {5, 1, 96, 48, true, true}, {2, 2, 256, 256, false, true}, {2, 1, 256, 64, false, false},
		{2, 1, 256, 0, false, true}, {2, 1, 64, 0, false, false},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			r := newRig(t, uint64(c.dim+c.heads))
			p := newPaged(r, []part{{1, 1}, {3, 70}, {1, 33}, {34, 34}})
			r.header(cuda.HeaderRows, p.rows)
			cols := (c.heads + 2*c.kv) * c.dim
			rows := spoil(r.normal(p.bucket*cols), p.rows*cols)
			qkv := r.buffer(cuda.ElemBF16, cols, rows)
			pageElems := p.pages * c.kv * 32 * c.dim
			kv := cuda.KV{K: r.nan(2 * pageElems), V: r.nan(2 * pageElems), KVHeads: c.kv, HeadDim: c.dim}
			rope := r.spin(80, c.rotary, c.interleaved)
			qNorm, kNorm := r.normal(c.dim), r.normal(c.dim)
			norms := cuda.QKNorm{Eps: 1e-5}
			if c.normed {
				norms.Q, norms.K = r.elements(cuda.ElemF32, qNorm), r.elements(cuda.ElemF32, kNorm)
			}
			r.one(cuda.StoreKV(r.batch, p.bucket, qkv, kv, c.heads, norms, rope.Rope))

			got := r.values(qkv, p.bucket)
			cache := func(ptr cuda.Ptr) []float64 {
				return r.values(cuda.Buffer{Ptr: ptr, Cols: pageElems}, 1)[0]
			}
			keys, values := cache(kv.K), cache(kv.V)
			for n, s := range p.parts {
				for i := range s.count {
					row, pos := int(p.seqs[n*cuda.SeqWords+1])+i, s.length-s.count+i
					for h := range c.heads + 2*c.kv {
						x := rows[row*cols+h*c.dim:][:c.dim]
						want := x
						if w := [][]float64{qNorm, kNorm}[min(1, h/c.heads)]; c.normed && h < c.heads+c.kv {
							want = norm(x, w, 1e-5)
						}
						if h < c.heads+c.kv {
							want = rope.rotate(want, pos)
						}
						r.near(storeTolerance, got[row][h*c.dim:][:c.dim], want, "row %d, head %d", row, h)
						if own := h - c.heads; own >= c.kv {
							r.near(0, values[p.at(n, pos, c.kv, own-c.kv, c.dim):][:c.dim], got[row][h*c.dim:][:c.dim], "value of row %d", row)
						} else if own >= 0 {
							r.near(0, keys[p.at(n, pos, c.kv, own, c.dim):][:c.dim], got[row][h*c.dim:][:c.dim], "key of row %d", row)
						}
					}
				}
			}
			r.untouched(got[p.rows:], "rows")
			written := 0
			for _, v := range slices.Concat(keys, values) {
				if !math.IsNaN(v) {
					written++
				}
			}
			if want := 2 * p.rows * c.kv * c.dim; written != want {
				t.Errorf("%d elements of the cache are written, want %d", written, want)
			}
		})
	}
}

// latentCase is a shape of latent attention.
type latentCase struct {
	heads, rank, nope, rope int
	interleaved             bool
	split, sms              int
	parts                   []part
}

func latentCases() []latentCase {
	decode := []part{{1, 1}, {1, 32}, {1, 33}, {1, 150}}
	mixed := []part{{1, 70}, {3, 3}, {20, 40}, {1, 1}}
	return []latentCase{
		{heads: 2, rank: 32, nope: 16, rope: 16, interleaved: true, split: 256, sms: 4, parts: decode},
		{heads: 4, rank: 64, nope: 32, rope: 16, split: 32, sms: 4, parts: mixed},
		{heads: 5, rank: 16, nope: 8, rope: 8, interleaved: true, split: 32, sms: 16, parts: mixed},
		{heads: 16, rank: 80, nope: 32, rope: 24, split: 32, sms: 4, parts: decode},
		{heads: 20, rank: 128, nope: 64, rope: 64, split: 64, sms: 8, parts: decode},
		{heads: 16, rank: 512, nope: 128, rope: 64, interleaved: true, split: 64, sms: 4, parts: []part{{1, 100}, {2, 33}}},
	}
}

// TestLatentAttention stores a step's rows and attends to them: what was stored
// before is drawn.
func TestLatentAttention(t *testing.T) {
	for _, c := range latentCases() {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) { c.run(t) })
	}
}

func (c latentCase) run(t *testing.T) {
	r := newRig(t, uint64(c.heads+c.rank))
	p := newPaged(r, c.parts)
	planner, err := cuda.NewLatentPlanner(c.heads, false, cuda.Limits{MaxRows: p.bucket, MaxSeqs: len(c.parts), MaxContext: 8192, SMs: c.sms})
	if err != nil {
		t.Fatal(err)
	}
	planner.Split = c.split
	p.plan(planner)
	width, qCols := c.rank+c.rope, c.heads*(c.nope+c.rope)
	cache := p.cache(1, width)
	rope := r.spin(160, c.rope, c.interleaved)
	weight := r.normal(c.rank)
	l := cuda.Latent{
		Heads: c.heads, Rank: c.rank, NopeDim: c.nope, RopeDim: c.rope,
		Norm: r.elements(cuda.ElemF32, weight), NormEps: 1e-5, Rope: rope.Rope, Scale: float32(1.5 / math.Sqrt(float64(width))),
		Partials: r.nan(int(planner.PartialBytes(c.heads, c.rank))),
	}
	// The step's own tokens are not in the cache before.
	for n, s := range p.parts {
		for i := range s.count {
			spoil(cache[p.at(n, s.length-s.count+i, 1, 0, width):][:width], 0)
		}
	}
	l.Pages = r.elements(cuda.ElemBF16, cache)
	kvRows, qRows := spoil(r.normal(p.bucket*width), p.rows*width), spoil(r.normal(p.bucket*qCols), p.rows*qCols)
	absorbedRows := spoil(r.normal(p.bucket*c.heads*c.rank), p.rows*c.heads*c.rank)
	kv, q := r.buffer(cuda.ElemBF16, width, kvRows), r.buffer(cuda.ElemBF16, qCols, qRows)
	absorbed := r.buffer(cuda.ElemBF16, c.heads*c.rank, absorbedRows)
	out := cuda.Buffer{Ptr: r.nan(p.bucket * c.heads * c.rank * 2), Cols: c.heads * c.rank}
	r.one(l.Store(r.batch, p.bucket, q, kv))
	r.run(l.Launches(r.batch, p.bucket, planner, out, absorbed, q))

	stored := r.values(cuda.Buffer{Ptr: l.Pages, Cols: len(cache)}, 1)[0]
	turned, rows, got := r.values(q, p.bucket), r.values(kv, p.bucket), r.values(out, p.bucket)
	for n, s := range p.parts {
		for i := range s.count {
			row, pos := int(p.seqs[n*cuda.SeqWords+1])+i, s.length-s.count+i
			x := kvRows[row*width:][:width]
			want := append(norm(x[:c.rank], weight, 1e-5), rope.rotate(x[c.rank:], pos)...)
			have := stored[p.at(n, pos, 1, 0, width):][:width]
			r.near(storeTolerance, have[:c.rank], want[:c.rank], "latents of row %d", row)
			r.near(storeTolerance, have[c.rank:], want[c.rank:], "tail of row %d", row)
			r.near(0, rows[row], have, "kv row %d", row)
			copy(cache[p.at(n, pos, 1, 0, width):], have)
			for h := range c.heads {
				x := qRows[row*qCols+h*(c.nope+c.rope):][:c.nope+c.rope]
				have := turned[row][h*(c.nope+c.rope):][:c.nope+c.rope]
				r.near(0, have[:c.nope], x[:c.nope], "query of row %d, head %d", row, h)
				r.near(storeTolerance, have[c.nope:], rope.rotate(x[c.nope:], pos), "tail of query of row %d, head %d", row, h)
			}
		}
	}
	for i, v := range stored {
		if math.IsNaN(v) != math.IsNaN(cache[i]) {
			t.Fatalf("element %d of the cache is %v, was %v", i, v, cache[i])
		}
	}
	for n, s := range p.parts {
		for i := range s.count {
			row, pos := int(p.seqs[n*cuda.SeqWords+1])+i, s.length-s.count+i
			for h := range c.heads {
				query := append(slices.Clone(absorbedRows[(row*c.heads+h)*c.rank:][:c.rank]), turned[row][h*(c.nope+c.rope)+c.nope:][:c.rope]...)
				key := func(i int) []float64 { return cache[p.at(n, i, 1, 0, width):][:width] }
				value := func(i int) []float64 { return key(i)[:c.rank] }
				want := attend(query, key, value, 0, pos, float64(l.Scale), math.Inf(-1))
				r.near(attentionTolerance, got[row][h*c.rank:][:c.rank], want, "sequence %d of %+v, position %d, head %d", n, s, pos, h)
			}
		}
	}
	r.untouched(got[p.rows:], "latent attention")
	r.untouched(rows[p.rows:], "kv rows")
	r.untouched(turned[p.rows:], "queries")
}
