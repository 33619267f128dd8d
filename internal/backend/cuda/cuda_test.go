//go:build cuda && cgo && linux

package cuda

import (
	"os"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
)

// driverPath is the driver that tests run on: REASOND_CUDA_DRIVER, else the
// emulated one.
func driverPath(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("REASOND_CUDA_DRIVER"); path != "" {
		return path
	}
	const path = "../../../kernels/emu/lib/libfakecuda.so"
	if _, err := os.Stat(path); err != nil {
		t.Skip("no emulated driver: run `make emu`, or set REASOND_CUDA_DRIVER")
	}
	return path
}

// opener opens backends without a BLAS.
func opener(t testing.TB) backendtest.Open {
	path := driverPath(t)
	return func(c backend.Config) (backend.Backend, error) {
		return New(Options{Driver: path, BLAS: "none"}, c)
	}
}

// tolerances are those of bfloat16: 8 bits of weights, activations, keys, values
// and probabilities, summed in float32.
var tolerances = backendtest.Tolerances{Exact: 1e-2, Dense: 2e-2, Quantised: 2e-2, Attention: 3e-2, BatchVariant: true}

func TestOps(t *testing.T) { backendtest.Run(t, opener(t), tolerances) }

// A tiny random model's roundings weigh more than a trained one's: its largest
// logit is small.
func TestModelsFollowTransformers(t *testing.T) {
	backendtest.Models(t, opener(t), "../../../testdata/models", backendtest.Goldens{Logits: 5e-2, BatchVariant: true})
}

func TestTinyReasoner(t *testing.T) {
	backendtest.TinyReasoner(t, opener(t), "../../../testdata/tiny-reasoner",
		backendtest.Tiny{MinMargin: 0.3, Logprob: 0.1, Golden: "fp32", Thin: 6})
}
