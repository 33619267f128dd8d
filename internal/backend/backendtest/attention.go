package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// attentionRig is a backend with one attention op under test: layer 1 of 2,
// over rows of a table. Layer 0 gets other rows. The table's last token is all
// NaN, to poison pages with.
type attentionRig struct {
	*rig
	spec   attentionOracle
	table  [][]float64
	poison int32
	out    reader
	tol    float64
}

const attentionVocab = 40

func (s suite) newAttention(t *testing.T, cfg backend.Config, a backend.AttentionSpec, normed bool, rotary int, seed uint64) *attentionRig {
	r := newRig(t, s.open, cfg, seed)
	cols := (a.Heads + 2*a.KVHeads) * a.HeadDim
	rows := func() []float32 {
		values := make([]float32, attentionVocab*cols)
		for i := range values {
			values[i] = float32(r.rng.NormFloat64())
			if i >= (attentionVocab-1)*cols {
				values[i] = float32(math.NaN())
			}
		}
		return values
	}
	table, other := floats(rows(), attentionVocab, cols), floats(rows(), attentionVocab, cols)
	oracle := attentionOracle{rope: backend.RopeSpec{Scale: 1.1}}
	for i := range rotary / 2 {
		oracle.rope.Inv = append(oracle.rope.Inv, math.Pow(1000, -2*float64(i)/float64(rotary)))
	}
	rope, err := r.NewRope(oracle.rope)
	a.Rope = must(t, rope, err)
	a.QNorm, a.KNorm, a.Sinks, a.NormEps = backend.NoVector, backend.NoVector, backend.NoVector, 1e-5
	if normed {
		q, k := randomTensor(r.rng, weights.F32, a.HeadDim), randomTensor(r.rng, weights.F32, a.HeadDim)
		a.QNorm, a.KNorm = r.vector(q.Float32()...), r.vector(k.Float32()...)
		oracle.qNorm, oracle.kNorm = matrix(q)[0], matrix(k)[0]
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
	return &attentionRig{rig: r, spec: oracle, table: matrix(table), poison: attentionVocab - 1, out: o, tol: s.tol.Attention}
}

// sequence draws n tokens, none of them the poison.
func (r *attentionRig) sequence(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.rng.IntN(attentionVocab - 1))
	}
	return ids
}

// right is the oracle's answer at the given positions, all where none is given.
func (r *attentionRig) right(ids []int32, positions ...int) [][]float64 {
	var rows [][]float64
	for _, id := range ids {
		rows = append(rows, r.table[id])
	}
	if positions == nil {
		for i := range ids {
			positions = append(positions, i)
		}
	}
	var want [][]float64
	for _, row := range r.spec.run(rows, positions) {
		want = append(want, r.out.pick(row))
	}
	return want
}

// driver hands out pages in an order of its own, all of them full of NaN.
func (r *attentionRig) driver(seed uint64) *Driver {
	d := NewDriver(r.Backend, r.cfg, seed)
	var ids []int32
	for range backend.PageTokens {
		ids = append(ids, r.poison)
	}
	var dirty []*Sequence
	for range r.cfg.Pages {
		s := &Sequence{}
		step(r.T, d, Part{Seq: s, Tokens: ids})
		dirty = append(dirty, s)
	}
	for _, i := range r.rng.Perm(len(dirty)) {
		d.Free(dirty[i])
	}
	return d
}

func (s suite) attention(t *testing.T) {
	for i, c := range []struct {
		heads, kv, dim int
		window         int
		normed         bool
		rotary         int // 0: the whole head
	}{
		{1, 1, 32, 0, false, 0}, {4, 2, 32, 0, true, 0}, {2, 2, 64, 0, true, 0}, {3, 1, 64, 0, false, 0}, {9, 3, 64, 0, false, 0},
		{4, 1, 80, 0, false, 0}, {7, 1, 128, 0, false, 0}, {14, 2, 64, 0, false, 0}, {8, 1, 96, 0, true, 0}, {16, 2, 128, 0, true, 0},
		{4, 2, 64, 1, false, 0}, {4, 2, 64, 5, true, 0}, {4, 2, 32, 32, false, 0}, {6, 2, 80, 40, false, 0}, {4, 4, 64, 0, false, 32},
	} {
		if i%thin != 0 {
			continue
		}
		t.Run(fmt.Sprintf("heads %d kv %d dim %d window %d rotary %d", c.heads, c.kv, c.dim, c.window, c.rotary), func(t *testing.T) {
			cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 100, MaxSeqs: 4, MaxContext: 128, Pages: 12}
			spec := backend.AttentionSpec{
				Heads: c.heads, KVHeads: c.kv, HeadDim: c.dim, Window: c.window, Scale: float32(1 / math.Sqrt(float64(c.dim))),
			}
			rotary := c.rotary
			if rotary == 0 {
				rotary = c.dim
			}
			r := s.newAttention(t, cfg, spec, c.normed, rotary, uint64(i))
			var all []*history
			for _, n := range []int{1, 31, 33, 100} {
				all = append(all, r.history(n))
			}
			for _, chunk := range []int{1, 7, 32, 33} {
				r.chunked(all[3], chunk)
			}
			r.together(all)
		})
	}
}

// history is a sequence, the right rows and the rows that the backend gave for
// it alone, in one chunk.
type history struct {
	ids   []int32
	want  [][]float64
	alone [][]float32
}

func (r *attentionRig) history(n int) *history {
	h := &history{ids: r.sequence(n)}
	h.want = r.right(h.ids)
	d := r.driver(11)
	h.alone = step(r.T, d, Part{Seq: &Sequence{}, Tokens: h.ids, Want: n})[0].Logits
	for i, row := range h.alone {
		near(r.T, r.tol, row, h.want[i], "length %d, position %d", n, i)
	}
	return h
}

func (r *attentionRig) chunked(h *history, size int) {
	d := r.driver(uint64(size))
	s := &Sequence{Slot: 1}
	for at := 0; at < len(h.ids); at += size {
		chunk := h.ids[at:min(at+size, len(h.ids))]
		for i, row := range step(r.T, d, Part{Seq: s, Tokens: chunk, Want: len(chunk)})[0].Logits {
			same(r.T, row, h.alone[at+i], "chunks of %d, position %d", size, at+i)
		}
	}
}

// together runs all histories at once: some decode, some prefill in uneven
// chunks, the batch's order changes.
func (r *attentionRig) together(all []*history) {
	d := r.driver(99)
	seqs := make([]Sequence, len(all))
	for round := 0; ; round++ {
		var parts []Part
		var which, from []int
		for k := range all {
			i := (k + round) % len(all)
			left := len(all[i].ids) - seqs[i].Length
			if left == 0 {
				continue
			}
			count := min(left, 1+(round*7+i*5)%23)
			seqs[i].Slot = i
			which, from = append(which, i), append(from, seqs[i].Length)
			parts = append(parts, Part{Seq: &seqs[i], Tokens: all[i].ids[seqs[i].Length:][:count], Want: count})
		}
		if len(parts) == 0 {
			return
		}
		for j, got := range step(r.T, d, parts...) {
			for k, row := range got.Logits {
				same(r.T, row, all[which[j]].alone[from[j]+k], "together, round %d, position %d", round, from[j]+k)
			}
		}
	}
}

// long checks a context of many pages, decoded at its end.
func (s suite) long(t *testing.T) {
	const length = 700
	cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 512, MaxSeqs: 2, MaxContext: 1024, Pages: 40}
	for i, window := range []int{0, 300} {
		spec := backend.AttentionSpec{Heads: 4, KVHeads: 2, HeadDim: 32, Window: window, Scale: 0.2}
		r := s.newAttention(t, cfg, spec, true, 32, uint64(i))
		ids := r.sequence(length)
		prefill := func(d *Driver, seq *Sequence, n, size int) (last []float32) {
			for at := 0; at < n; at += size {
				chunk := ids[at:min(at+size, n)]
				last = step(t, d, Part{Seq: seq, Tokens: chunk, Want: 1})[0].Logits[0]
				pos := at + len(chunk) - 1
				near(t, s.tol.Attention, last, r.right(ids, pos)[0], "window %d, position %d", window, pos)
			}
			return last
		}
		whole := prefill(r.driver(1), &Sequence{}, length, 500)
		d, seq := r.driver(2), &Sequence{}
		prefill(d, seq, length-1, 333)
		got := step(t, d, Part{Seq: seq, Tokens: ids[length-1:], Want: 1})[0].Logits[0]
		same(t, got, whole, "window %d, decode at %d", window, length-1)
	}
}

// copies forks a sequence inside a page: the fork shares whole pages and has a
// copy of the last one; both go on as if they had been alone.
func (s suite) copies(t *testing.T) {
	cfg := backend.Config{Float32: s.tol.Float32, MaxRows: 100, MaxSeqs: 4, MaxContext: 128, Pages: 12}
	r := s.newAttention(t, cfg, backend.AttentionSpec{Heads: 4, KVHeads: 2, HeadDim: 64, Scale: 0.125}, false, 64, 1)
	a, b := r.history(80), r.history(80)
	copy(b.ids, a.ids[:50])
	b.want = r.right(b.ids)
	d := r.driver(4)
	parent := &Sequence{Slot: 0}
	step(t, d, Part{Seq: parent, Tokens: a.ids[:50]})
	fork := &Sequence{Slot: 1, Length: 50, Pages: []int32{parent.Pages[0], d.free[0]}}
	d.free = d.free[1:]
	if err := d.Fill(
		Part{Seq: parent, Tokens: a.ids[50:], Want: 30},
		Part{Seq: fork, Tokens: b.ids[50:], Want: 30},
	); err != nil {
		t.Fatal(err)
	}
	r.Batch().Copies = append(r.Batch().Copies, backend.Copy{Src: parent.Pages[1], Dst: fork.Pages[1]})
	if err := r.Forward(); err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		got := make([]float32, r.Info().Vocab)
		if err := r.LogitsRow(got, i); err != nil {
			t.Fatal(err)
		}
		h := a
		if i >= 30 {
			h = b
		}
		near(t, s.tol.Attention, got, h.want[50+i%30], "row %d", i)
	}
}
