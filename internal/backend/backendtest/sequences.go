package backendtest

import (
	"github.com/reasond/reasond/internal/backend"
)

// sequenceRig is a backend whose program's rows depend on the tokens before
// them: an attention under test.
type sequenceRig struct {
	*rig
	// run is the mathematics: the rows at some positions of a sequence.
	run func(ids []int32, positions []int) [][]float64
	out reader
	tol float64
}

// sequence draws n tokens, none of them the poison.
func (r *sequenceRig) sequence(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.rng.IntN(attentionVocab - 1))
	}
	return ids
}

// right is the right answer at the given positions, all where none is given.
func (r *sequenceRig) right(ids []int32, positions ...int) [][]float64 {
	if positions == nil {
		for i := range ids {
			positions = append(positions, i)
		}
	}
	var want [][]float64
	for _, row := range r.run(ids, positions) {
		want = append(want, r.out.pick(row))
	}
	return want
}

// everyWay runs sequences of several lengths alone, in chunks and together.
func (r *sequenceRig) everyWay() {
	var all []*history
	for _, n := range []int{1, 31, 33, 100} {
		all = append(all, r.history(n))
	}
	chunks := []int{1, 7, 32, 33}
	if r.quick {
		chunks = chunks[1:2]
	}
	for _, chunk := range chunks {
		r.chunked(all[3], chunk)
	}
	r.together(all)
}

// driver hands out pages in an order of its own, all of them full of NaN.
func (r *sequenceRig) driver(seed uint64) *Driver {
	d := NewDriver(r.Backend, r.cfg, seed)
	var ids []int32
	for range backend.PageTokens {
		ids = append(ids, attentionVocab-1)
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

// history is a sequence, the right rows and the rows that the backend gave for
// it alone, in one chunk.
type history struct {
	ids   []int32
	want  [][]float64
	alone [][]float32
}

func (r *sequenceRig) history(n int) *history {
	h := &history{ids: r.sequence(n)}
	h.want = r.right(h.ids)
	d := r.driver(11)
	h.alone = step(r.T, d, Part{Seq: &Sequence{}, Tokens: h.ids, Want: n})[0].Logits
	for i, row := range h.alone {
		near(r.T, r.tol, row, h.want[i], "length %d, position %d", n, i)
	}
	return h
}

func (r *sequenceRig) chunked(h *history, size int) {
	d := r.driver(uint64(size))
	s := &Sequence{Slot: 1}
	for at := 0; at < len(h.ids); at += size {
		chunk := h.ids[at:min(at+size, len(h.ids))]
		for i, row := range step(r.T, d, Part{Seq: s, Tokens: chunk, Want: len(chunk)})[0].Logits {
			alike(r.T, r.variant, r.tol, row, h.alone[at+i], "chunks of %d, position %d", size, at+i)
		}
	}
}

// together runs all histories at once: some decode, some prefill in uneven
// chunks, the batch's order changes.
func (r *sequenceRig) together(all []*history) {
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
				alike(r.T, r.variant, r.tol, row, all[which[j]].alone[from[j]+k], "together, round %d, position %d", round, from[j]+k)
			}
		}
	}
}

// fork forks a sequence inside a page: the fork shares whole pages and has a
// copy of the last one; both go on as if they had been alone.
func (r *sequenceRig) fork() {
	t := r.T
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
		near(t, r.tol, got, h.want[50+i%30], "row %d", i)
	}
}

// longContext checks a context of many pages, decoded at its end.
func (r *sequenceRig) longContext() {
	const length = 700
	ids := r.sequence(length)
	prefill := func(d *Driver, seq *Sequence, n, size int) (last []float32) {
		for at := 0; at < n; at += size {
			chunk := ids[at:min(at+size, n)]
			last = step(r.T, d, Part{Seq: seq, Tokens: chunk, Want: 1})[0].Logits[0]
			pos := at + len(chunk) - 1
			near(r.T, r.tol, last, r.right(ids, pos)[0], "position %d", pos)
		}
		return last
	}
	whole := prefill(r.driver(1), &Sequence{}, length, 500)
	d, seq := r.driver(2), &Sequence{}
	prefill(d, seq, length-1, 333)
	got := step(r.T, d, Part{Seq: seq, Tokens: ids[length-1:], Want: 1})[0].Logits[0]
	alike(r.T, r.variant, r.tol, got, whole, "decode at %d", length-1)
}
