package backendtest

import (
	"math/rand/v2"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// rig builds a backend around the ops of one test. Inputs reach a buffer as
// rows of an embedding, outputs leave it through Logits, see readBack.
type rig struct {
	*testing.T
	backend.Backend
	cfg     backend.Config
	rng     *rand.Rand
	variant bool // see Tolerances.BatchVariant
	quick   bool
}

func newRig(t *testing.T, s suite, cfg backend.Config, seed uint64) *rig {
	t.Helper()
	b, err := s.open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{t, b, cfg, rand.New(rand.NewPCG(seed, 2)), s.tol.BatchVariant, s.tol.Quick}
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (r *rig) linear(parts ...weights.Tensor) backend.Linear {
	r.Helper()
	l, err := r.NewLinear(backend.LinearSpec{Name: "test", Parts: parts})
	return must(r.T, l, err)
}

func (r *rig) vector(values ...float32) backend.Vector {
	r.Helper()
	v, err := r.NewVector(floats(values, len(values)))
	return must(r.T, v, err)
}

func (r *rig) buffer(cols int) backend.Buffer {
	r.Helper()
	b, err := r.NewBuffer(cols)
	return must(r.T, b, err)
}

func (r *rig) build(program func(backend.Program)) {
	r.Helper()
	if err := r.Build(program); err != nil {
		r.Fatal(err)
	}
}

// reader is the way out of a buffer: Logits with a norm that changes nothing
// and a head that selects columns.
type reader struct {
	norm    backend.Vector
	head    backend.Linear
	columns []int
}

// The norm divides by sqrt(mean(x^2)+readEps), which is readScale to the last
// bit of a float32 for activations of moderate size, and multiplies by it.
const (
	readEps   = 1 << 60
	readScale = 1 << 30
)

// readBack reads a buffer of cols columns: all of them up to 256, else 256
// spread over it, both ends included.
func (r *rig) readBack(cols int) reader {
	r.Helper()
	var out reader
	for c := range cols {
		if cols <= 256 || c < 64 || c >= cols-64 || (c*128/cols) != ((c-1)*128/cols) {
			out.columns = append(out.columns, c)
		}
	}
	ones := make([]float32, cols)
	for i := range ones {
		ones[i] = readScale
	}
	out.norm = r.vector(ones...)
	selection := make([]float32, len(out.columns)*cols)
	for i, c := range out.columns {
		selection[i*cols+c] = 1
	}
	out.head = r.linear(floats(selection, len(out.columns), cols))
	return out
}

// emit appends the op that reads x.
func (o reader) emit(p backend.Program, x backend.Buffer) { p.Logits(x, o.norm, readEps, o.head) }

// pick is the selected columns of a right answer.
func (o reader) pick(row []float64) []float64 {
	out := make([]float64, len(o.columns))
	for i, c := range o.columns {
		out[i] = row[c]
	}
	return out
}

// rowCounts are the batch sizes that every op is tried with: all the small
// ones, where kernels change their tiling, and some beyond.
var rowCounts = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 33, 64}

// fewRowCounts are some where kernels change.
var fewRowCounts = []int{1, 8, 17, 64}

func (r *rig) rowCounts() []int {
	if r.quick {
		return fewRowCounts
	}
	return rowCounts
}

// maxRows is the largest of rowCounts, and the vocabulary of the tests' inputs.
const maxRows = 64

// rowwise checks an op whose output row depends on its token alone: with any
// number of rows, at any place in the batch, wanted in any order, a token's row
// must be near want[token] and, unless the backend is BatchVariant, always the
// same bits.
func (r *rig) rowwise(o reader, want [][]float64, tolerance float64) {
	r.Helper()
	d := NewDriver(r.Backend, r.cfg, 3)
	seen := make([][]float32, len(want))
	for _, n := range r.rowCounts() {
		ids := make([]int32, n)
		for i, id := range r.rng.Perm(len(want))[:min(n, len(want))] {
			ids[i] = int32(id)
		}
		s := &Sequence{}
		got := step(r.T, d, Part{Seq: s, Tokens: ids, Want: n})
		d.Free(s)
		for i, row := range got[0].Logits {
			id := ids[i]
			if seen[id] == nil || r.variant {
				seen[id] = row
				near(r.T, tolerance, row, o.pick(want[id]), "token %d in row %d of %d", id, i, n)
			}
			alike(r.T, r.variant, tolerance, row, seen[id], "token %d in row %d of %d", id, i, n)
		}
		if r.Failed() {
			return
		}
	}
}
