//go:build cuda && cgo && linux

package cuda

import (
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/cuda/cudatest"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// opener opens backends without a BLAS.
func opener(t testing.TB) backendtest.Open {
	path := cudatest.Driver(t)
	return func(c backend.Config) (backend.Backend, error) {
		return New(Options{Driver: path, BLAS: "none"}, c)
	}
}

// tolerances are those of bfloat16: 8 bits of weights, activations, keys, values
// and probabilities, summed in float32.
var tolerances = backendtest.Tolerances{Exact: 1e-2, Dense: 2e-2, Quantised: 2e-2, Attention: 3e-2, BatchVariant: true}

// Threads, warps and blocks may run in any order: what only holds in one of them
// is a race.
func TestOpsInThreeOrders(t *testing.T) {
	open := opener(t)
	for _, order := range []string{"forward", "reverse", "seed:7"} {
		t.Run(order, func(t *testing.T) {
			inOrder(t, order)
			tol := tolerances
			tol.Quick = cudatest.Present()
			backendtest.Run(t, open, tol)
		})
	}
}

// inOrder has the emulator run threads in an order until the test ends. On a
// real device it skips what is not the first.
func inOrder(t *testing.T, order string) {
	t.Helper()
	smallModel(t, Options{}, backend.Config{MaxRows: 1, MaxSeqs: 1, MaxContext: 32, Pages: 1}) // opens the driver
	if !cudatest.Present() {
		if order != "forward" {
			t.Skip("a real device has its own order")
		}
		return
	}
	if err := cudatest.SetOrder(order); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cudatest.SetOrder("forward") })
}

// smallModel is a backend with a tiny llama on it.
func smallModel(t testing.TB, opt Options, cfg backend.Config) *Backend {
	t.Helper()
	opt.Driver = cudatest.Driver(t)
	if opt.BLAS == "" {
		opt.BLAS = "none"
	}
	b, err := New(opt, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	loadModel(t, b, "../../../testdata/models/llama")
	return b
}

// loadError is what loading a model says.
func loadError(t testing.TB, b backend.Backend, path string) error {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	_, err = model.Load(src, b, weights.Shard{})
	return err
}

func loadModel(t testing.TB, b backend.Backend, path string) {
	t.Helper()
	if err := loadError(t, b, path); err != nil {
		t.Fatal(err)
	}
}

// A tiny random model's roundings weigh more than a trained one's: its largest
// logit is small.
func TestModelsFollowTransformers(t *testing.T) {
	open := opener(t)
	want := backendtest.Goldens{Logits: 5e-2, BatchVariant: true, Quick: true}
	backendtest.Models(t, open, "../../../testdata/models", want)
}

// With cuBLASLt large products are its, and everything else stays as it was.
func TestModelsFollowTransformersWithBLAS(t *testing.T) {
	path, blas := cudatest.Driver(t), cudatest.BLAS(t)
	open := func(c backend.Config) (backend.Backend, error) { return New(Options{Driver: path, BLAS: blas}, c) }
	want := backendtest.Goldens{Logits: 5e-2, BatchVariant: true, Thin: 4, Quick: true}
	backendtest.Models(t, open, "../../../testdata/models", want)
}

func TestTinyReasoner(t *testing.T) {
	backendtest.TinyReasoner(t, opener(t), "../../../testdata/tiny-reasoner",
		backendtest.Tiny{MinMargin: 0.3, Logprob: 0.1, Golden: "fp32", Thin: 6})
}
