package backendtest

import (
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// Tolerances are relative to the largest element of a row.
type Tolerances struct {
	Float32 bool // Config.Float32

	Exact     float64 // ops without rounding of their own: Embed, RMSNorm, reading back
	Dense     float64 // matrices of F32, F16, BF16
	Quantised float64 // matrices of block formats
	Attention float64

	// BatchVariant: a token's row may have other bits in another batch (other
	// kernels for other numbers of rows), within the tolerance.
	BatchVariant bool
	// Quick tries every op and format with fewer shapes and batches, for devices
	// that are emulated.
	Quick bool
}

// Float32 is what a backend must keep that computes in float32.
var Float32 = Tolerances{Float32: true, Exact: 1e-6, Dense: 2e-6, Quantised: 2e-6, Attention: 2e-6}

func (o Tolerances) of(d weights.DType) float64 {
	if d.Quantised() {
		return o.Quantised
	}
	return o.Dense
}

// Run compares every op of a backend with mathematics in float64 over the
// shape classes that models have, and holds it to the determinism law: a row's
// bits depend on its own sequence alone, never on the batch, the chunks, the
// page ids or what was in the pages before.
func Run(t *testing.T, open Open, tol Tolerances) {
	s := suite{open, tol}
	t.Run("embed", s.embed)
	t.Run("norm", s.norm)
	t.Run("linear", s.linear)
	t.Run("mlp", s.mlp)
	t.Run("logits", s.logits)
	t.Run("attention", s.attention)
	t.Run("long", s.long)
	t.Run("copies", s.copies)
	t.Run("routing", s.routing)
	t.Run("experts", s.experts)
	t.Run("head linear", s.headLinear)
	t.Run("latent", s.latent)
	t.Run("slots", s.slots)
	t.Run("sampling", s.sampling)
	t.Run("drafts", s.drafts)
	t.Run("failing row", s.failingRow)
	t.Run("misfits", s.misfits)
}

type suite struct {
	open Open
	tol  Tolerances
}

// thin is how many cases one is taken of where only shapes differ.
func (s suite) thin() int {
	if s.tol.Quick {
		return max(thin, 5)
	}
	return thin
}

// config sizes a backend for row-wise ops.
func (s suite) config() backend.Config {
	return backend.Config{Float32: s.tol.Float32, MaxRows: maxRows, MaxSeqs: 4, MaxContext: 128, Pages: 8}
}
