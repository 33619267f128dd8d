package reference_test

import (
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/reference"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// Law: a batch that would read or write out of bounds is refused by an error,
// and the backend goes on as if it had not been.
func TestBadBatchesAreRefused(t *testing.T) {
	src, err := weights.Open("../../../testdata/models/qwen3")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	cfg := backend.Config{MaxRows: 8, MaxSeqs: 2, MaxContext: 64, Pages: 4}
	b, err := reference.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Forward(); err == nil {
		t.Error("Forward ran before Build")
	}
	if _, err := model.Load(src, b, weights.Shard{}); err != nil {
		t.Fatal(err)
	}
	d := backendtest.NewDriver(b, cfg, 1)
	fill := func() *backend.Batch {
		s := &backendtest.Sequence{}
		if err := d.Fill(backendtest.Part{Seq: s, Tokens: []int32{1, 2, 3}, Want: 1, Sample: true}); err != nil {
			t.Fatal(err)
		}
		d.Free(s)
		return b.Batch()
	}
	good := func() float32 {
		fill()
		if err := b.Forward(); err != nil {
			t.Fatal(err)
		}
		row := make([]float32, b.Info().Vocab)
		if err := b.LogitsRow(row, 0); err != nil {
			t.Fatal(err)
		}
		return row[5]
	}
	first := good()
	for name, spoil := range map[string]func(*backend.Batch){
		"rows over capacity":         func(b *backend.Batch) { b.Rows = 9 },
		"rows negative":              func(b *backend.Batch) { b.Rows = -1 },
		"token over the vocabulary":  func(b *backend.Batch) { b.Token[1] = 128 },
		"slot of a last token":       func(b *backend.Batch) { b.Token[1] = ^2 },
		"position negative":          func(b *backend.Batch) { b.Pos[0] = -1 },
		"position beyond the length": func(b *backend.Batch) { b.Pos[2] = 3 },
		"sequence index":             func(b *backend.Batch) { b.Seq[2] = 1 },
		"sequence slot":              func(b *backend.Batch) { b.Seqs[0].Slot = 2 },
		"sequence rows":              func(b *backend.Batch) { b.Seqs[0].Count = 4 },
		"length over the context":    func(b *backend.Batch) { b.Seqs[0].Length = 65 },
		"table out of range":         func(b *backend.Batch) { b.Seqs[0].Table = 1 },
		"page out of range":          func(b *backend.Batch) { b.Pages[0] = 4 },
		"page negative":              func(b *backend.Batch) { b.Pages[0] = -1 },
		"copy out of range":          func(b *backend.Batch) { b.Copies = append(b.Copies, backend.Copy{Src: 0, Dst: 4}) },
		"logits row out of range":    func(b *backend.Batch) { b.LogitRows[0] = 3 },
	} {
		spoil(fill())
		if err := b.Forward(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.Sample(); err == nil {
			t.Errorf("%s: logits of a refused step were sampled", name)
		}
		if again := good(); again != first {
			t.Errorf("%s: the next step gave %g, must be %g", name, again, first)
		}
	}
	fill().Samples[0].Slot = 7
	if err := b.Sample(); err == nil {
		t.Error("slot 7 of 2 was sampled")
	}
}

func TestProgramsThatDoNotFitAreRefused(t *testing.T) {
	b, err := reference.New(backend.Config{MaxRows: 8, MaxSeqs: 2, MaxContext: 64, Pages: 4})
	if err != nil {
		t.Fatal(err)
	}
	x, _ := b.NewBuffer(8)
	y, _ := b.NewBuffer(9)
	data := make([]byte, 4*16*8)
	w, err := b.NewLinear(backend.LinearSpec{Name: "w", Parts: []weights.Tensor{{Shape: []int{16, 8}, Data: data}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Build(func(p backend.Program) { p.Linear(y, x, w, false) }); err == nil || !strings.Contains(err.Error(), "Linear w") {
		t.Errorf("16 outputs went into 9 columns: %v", err)
	}
}

func BenchmarkDecodeTinyReasoner(b *testing.B) {
	src, err := weights.Open("../../../testdata/tiny-reasoner")
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	cfg := backend.Config{MaxRows: 32, MaxSeqs: 1, MaxContext: 1024, Pages: 32}
	ref, err := reference.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer ref.Close()
	if _, err := model.Load(src, ref, weights.Shard{}); err != nil {
		b.Fatal(err)
	}
	d := backendtest.NewDriver(ref, cfg, 1)
	s := &backendtest.Sequence{}
	for b.Loop() {
		if s.Length == 512 {
			d.Free(s)
		}
		if _, err := d.Step(backendtest.Part{Seq: s, Tokens: []int32{7}, Want: 1, Sample: true}); err != nil {
			b.Fatal(err)
		}
	}
}
