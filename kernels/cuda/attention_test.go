//go:build cuda && cgo && linux

package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/reasond/reasond/kernels/cuda"
)

// part is a sequence's rows in a step: count of them, ending at length.
type part struct{ count, length int }

// paged is a step of some sequences and their pages: values of [page][head][32][dim]
// that are NaN where no token was written.
type paged struct {
	*rig
	parts        []part
	rows, bucket int
	pages        int
	seqs, table  []int32
	pos          []int32
}

// newPaged lays out the sequences' page tables, in no order and with pages of
// nobody between them.
func newPaged(r *rig, parts []part) *paged {
	p := &paged{rig: r, parts: parts}
	for _, s := range parts {
		p.rows += s.count
		p.pages += (s.length + 31) / 32
	}
	for p.bucket = 1; p.bucket < p.rows; p.bucket *= 2 {
	}
	p.pages += 3
	order := r.rng.Perm(p.pages)
	var seq []int32
	for n, s := range parts {
		p.seqs = append(p.seqs, int32(n), int32(len(p.pos)), int32(s.count), int32(s.length), int32(len(p.table)))
		for i := range (s.length + 31) / 32 {
			p.table = append(p.table, int32(order[len(p.table)]))
			_ = i
		}
		for i := range s.count {
			p.pos = append(p.pos, int32(s.length-s.count+i))
			seq = append(seq, int32(n))
		}
	}
	garbage := make([]int32, p.bucket-p.rows+2)
	for i := range garbage {
		garbage[i] = 1 << 30
	}
	b := &r.batch
	b.Pos, b.Seq, b.Seqs, b.Pages = r.ints(append(p.pos, garbage...)...), r.ints(append(seq, garbage...)...), r.ints(p.seqs...), r.ints(p.table...)
	return p
}

// at is where token pos of sequence n lies in a cache of that many heads.
func (p *paged) at(n, pos, heads, head, dim int) int {
	page := int(p.table[int(p.seqs[n*cuda.SeqWords+4])+pos/32])
	return ((page*heads+head)*32 + pos%32) * dim
}

// cache is pages of tokens drawn for every sequence up to its length; all else is NaN.
// It tells what tokens are worth by at.
func (p *paged) cache(heads, dim int) []float64 {
	v := spoil(make([]float64, p.pages*heads*32*dim), 0)
	for n, s := range p.parts {
		for pos := range s.length {
			for h := range heads {
				copy(v[p.at(n, pos, heads, h, dim):], p.normal(dim))
			}
		}
	}
	return v
}

// plan writes the work of the step; padding behind it is garbage.
func (p *paged) plan(planner *cuda.Planner) cuda.Work {
	c := planner.Capacity(p.bucket)
	array := func(n int) []int32 {
		a := make([]int32, n+1)
		for i := range a {
			a[i] = 1 << 30
		}
		return a
	}
	narrow, wide, merges := array(c.Narrow*cuda.ItemWords), array(c.Wide*cuda.ItemWords), array(c.Merges*cuda.MergeWords)
	w := planner.Plan(p.seqs, narrow, wide, merges)
	b := &p.batch
	b.Narrow, b.Wide, b.Merges = p.ints(narrow...), p.ints(wide...), p.ints(merges...)
	p.header(cuda.HeaderRows, p.rows, cuda.HeaderSeqs, len(p.parts), cuda.HeaderNarrow, w.Narrow, cuda.HeaderWide, w.Wide, cuda.HeaderMerges, w.Merges)
	return w
}

// attend is softmax(q·Kᵀ*scale)·V in float64, the sink in the divisor alone; keys
// and values are those of tokens first.. .
func attend(q []float64, key, value func(i int) []float64, first, last int, scale, sink float64) []float64 {
	scores, top := []float64{}, sink
	for i := first; i <= last; i++ {
		sum := 0.0
		for d, v := range key(i) {
			sum += v * q[d]
		}
		scores, top = append(scores, sum*scale), max(top, sum*scale)
	}
	total := math.Exp(sink - top)
	var out []float64
	for i, s := range scores {
		v := value(first + i)
		if out == nil {
			out = make([]float64, len(v))
		}
		w := math.Exp(s - top)
		total += w
		for d := range out {
			out[d] += w * v[d]
		}
	}
	for d := range out {
		out[d] /= total
	}
	return out
}

// attentionCase is a shape and a step of attention.
type attentionCase struct {
	heads, kv, dim int
	window         int
	sinks          bool
	split          int // fewest tokens of an item
	sms            int
	parts          []part
}

func (c attentionCase) String() string {
	return fmt.Sprintf("heads %d kv %d dim %d window %d sinks %v split %d sms %d parts %v", c.heads, c.kv, c.dim, c.window, c.sinks, c.split, c.sms, c.parts)
}

// attentionTolerance: the result and the weights of the values are bfloat16.
const attentionTolerance = 1.0 / 64

func (c attentionCase) run(t *testing.T) cuda.Work {
	r := newRig(t, uint64(c.heads*1000+c.dim+c.window))
	p := newPaged(r, c.parts)
	kv := cuda.KV{KVHeads: c.kv, HeadDim: c.dim}
	keys, values := p.cache(c.kv, c.dim), p.cache(c.kv, c.dim)
	for n, s := range c.parts { // what lies before every row's window may be gone
		for pos := 0; c.window > 0 && pos < s.length-s.count+1-c.window; pos++ {
			for h := range c.kv {
				spoil(keys[p.at(n, pos, c.kv, h, c.dim):][:c.dim], 0)
				spoil(values[p.at(n, pos, c.kv, h, c.dim):][:c.dim], 0)
			}
		}
	}
	kv.K, kv.V = r.elements(cuda.ElemBF16, keys), r.elements(cuda.ElemBF16, values)
	cols := (c.heads + 2*c.kv) * c.dim
	rows := spoil(r.normal(p.bucket*cols), p.rows*cols)
	qkv := r.buffer(cuda.ElemBF16, cols, rows)
	out := cuda.Buffer{Ptr: r.nan(p.bucket * c.heads * c.dim * 2), Cols: c.heads * c.dim}

	planner, err := cuda.NewPlanner(c.heads, c.kv, c.dim, c.window, false, cuda.Limits{MaxRows: p.bucket, MaxSeqs: len(c.parts), MaxContext: 8192, SMs: c.sms})
	if err != nil {
		t.Fatal(err)
	}
	planner.Split = c.split
	work := p.plan(planner)
	scale := 1.5 / math.Sqrt(float64(c.dim))
	a := cuda.Attention{Heads: c.heads, Window: c.window, Scale: float32(scale), KV: kv, Partials: r.nan(int(planner.PartialBytes(c.heads, c.dim)))}
	sinks := make([]float64, c.heads)
	for h := range sinks {
		sinks[h] = math.Inf(-1)
	}
	if c.sinks {
		for h := range sinks {
			sinks[h] = 4 * r.rng.NormFloat64()
		}
		a.Sinks = r.elements(cuda.ElemF32, sinks)
	}
	r.run(a.Launches(r.batch, p.bucket, planner, out, qkv, false))

	got := r.values(out, p.bucket)
	row := 0
	for n, s := range c.parts {
		for i := range s.count {
			pos, first := s.length-s.count+i, 0
			if c.window > 0 {
				first = max(0, pos+1-c.window)
			}
			for h := range c.heads {
				token := func(cache []float64) func(int) []float64 {
					return func(i int) []float64 { return cache[p.at(n, i, c.kv, h/(c.heads/c.kv), c.dim):][:c.dim] }
				}
				want := attend(rows[row*cols+h*c.dim:][:c.dim], token(keys), token(values), first, pos, scale, sinks[h])
				r.near(attentionTolerance, got[row][h*c.dim:][:c.dim], want, "sequence %d of %+v, position %d, head %d", n, s, pos, h)
			}
			row++
		}
	}
	r.untouched(got[p.rows:], "attention")
	return work
}

// attentionCases are small enough for every thread order: shapes of heads that
// models have; one token, a page's edge, several pages and splits; decoding,
// prompts, and both.
func attentionCases() []attentionCase {
	decode := []part{{1, 1}, {1, 32}, {1, 33}, {1, 150}}
	mixed := []part{{1, 70}, {3, 3}, {40, 40}, {1, 1}, {33, 100}}
	return []attentionCase{
		{heads: 4, kv: 4, dim: 32, split: 256, sms: 1, parts: decode},
		{heads: 4, kv: 4, dim: 32, split: 256, sms: 1, parts: mixed},
		{heads: 4, kv: 1, dim: 16, split: 32, sms: 8, parts: decode},
		{heads: 4, kv: 1, dim: 16, split: 32, sms: 8, parts: mixed},
		{heads: 7, kv: 1, dim: 64, split: 32, sms: 8, parts: decode},
		{heads: 14, kv: 2, dim: 64, split: 32, sms: 16, sinks: true, parts: mixed},
		{heads: 16, kv: 2, dim: 32, split: 32, sms: 16, window: 40, sinks: true, parts: decode},
		{heads: 16, kv: 2, dim: 32, split: 32, sms: 16, window: 33, sinks: true, parts: mixed},
		{heads: 4, kv: 2, dim: 32, window: 130, split: 32, sms: 4, parts: []part{{40, 300}, {1, 170}, {70, 210}}},
		{heads: 4, kv: 2, dim: 64, window: 1, split: 32, sms: 8, parts: mixed},
		{heads: 4, kv: 2, dim: 80, window: 5, split: 32, sms: 4, parts: mixed},
		{heads: 2, kv: 1, dim: 96, split: 32, sms: 4, parts: decode},
		{heads: 3, kv: 1, dim: 128, split: 64, sms: 4, parts: []part{{1, 200}, {20, 90}, {1, 5}}},
		{heads: 2, kv: 1, dim: 256, split: 64, sms: 4, parts: []part{{1, 200}, {35, 90}, {1, 5}}},
		{heads: 24, kv: 1, dim: 16, split: 32, sms: 4, parts: decode},
		{heads: 70, kv: 1, dim: 16, split: 32, sms: 4, parts: []part{{1, 100}, {3, 40}}},
	}
}

func TestAttention(t *testing.T) {
	var all cuda.Work
	for _, c := range attentionCases() {
		t.Run(c.String(), func(t *testing.T) {
			w := c.run(t)
			all.Narrow, all.Wide, all.Merges = all.Narrow+w.Narrow, all.Wide+w.Wide, all.Merges+w.Merges
		})
	}
	if all.Narrow == 0 || all.Wide == 0 || all.Merges == 0 {
		t.Errorf("the cases make %+v", all)
	}
}

// A context of several thousand tokens, cut into many items, and a window in it.
func TestAttentionOverALongContext(t *testing.T) {
	for _, c := range []attentionCase{
		{heads: 8, kv: 2, dim: 64, split: 256, sms: 40, parts: []part{{1, 4001}, {1, 700}}},
		{heads: 8, kv: 1, dim: 64, split: 256, sms: 40, window: 128, sinks: true, parts: []part{{1, 4001}, {1, 127}, {1, 129}}},
		{heads: 8, kv: 2, dim: 128, split: 512, sms: 20, parts: []part{{9, 3000}}},
	} {
		t.Run(c.String(), func(t *testing.T) { c.run(t) })
	}
}

// With Fixed, a row that decodes gets the same bits whoever else is in the batch.
func TestFixedAttentionDoesNotDependOnNeighbours(t *testing.T) {
	const heads, kvHeads, dim, length = 8, 2, 32, 900
	alone := func(others []part) []float64 {
		r := newRig(t, 7)
		p := newPaged(r, append([]part{{1, length}}, others...))
		planner, err := cuda.NewPlanner(heads, kvHeads, dim, 0, true, cuda.Limits{MaxRows: 64, MaxSeqs: 8, MaxContext: 2048, SMs: 4})
		if err != nil {
			t.Fatal(err)
		}
		p.plan(planner)
		cols := (heads + 2*kvHeads) * dim
		rng := newRig(t, 8).rng // the first sequence's row and tokens are always the same
		draw := func(v []float64) {
			for i := range v {
				v[i] = rng.NormFloat64()
			}
		}
		rows, keys, values := r.normal(p.bucket*cols), p.cache(kvHeads, dim), p.cache(kvHeads, dim)
		draw(rows[:cols])
		for pos := range length {
			for h := range kvHeads {
				draw(keys[p.at(0, pos, kvHeads, h, dim):][:dim])
				draw(values[p.at(0, pos, kvHeads, h, dim):][:dim])
			}
		}
		a := cuda.Attention{
			Heads: heads, Scale: 0.2, Partials: r.nan(int(planner.PartialBytes(heads, dim))),
			KV: cuda.KV{K: r.elements(cuda.ElemBF16, keys), V: r.elements(cuda.ElemBF16, values), KVHeads: kvHeads, HeadDim: dim},
		}
		out := cuda.Buffer{Ptr: r.nan(p.bucket * heads * dim * 2), Cols: heads * dim}
		r.run(a.Launches(r.batch, p.bucket, planner, out, r.buffer(cuda.ElemBF16, cols, rows), false))
		return r.values(out, 1)[0]
	}
	want := alone(nil)
	for _, others := range [][]part{{{1, 5}}, {{1, 1700}, {1, 1900}}, {{20, 40}, {3, 300}, {1, 33}}} {
		for i, v := range alone(others) {
			if v != want[i] {
				t.Fatalf("beside %v, element %d is %v, alone %v", others, i, v, want[i])
			}
		}
	}
}
