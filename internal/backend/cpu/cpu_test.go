package cpu_test

import (
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/cpu"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// eachISA runs a test for every instruction set of this machine.
func eachISA(t *testing.T, f func(t *testing.T, open backendtest.Open)) {
	for _, isa := range kernels.Supported() {
		t.Run(isa.String(), func(t *testing.T) {
			f(t, func(c backend.Config) (backend.Backend, error) { return cpu.NewWithISA(c, isa) })
		})
	}
}

func TestTinyReasonerIsExactInFloat32(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) {
		backendtest.TinyReasoner(t, open, "../../../testdata/tiny-reasoner", backendtest.ExactTiny)
	})
}

func TestTinyReasonerIsCloseInDefaultDtype(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) {
		backendtest.TinyReasoner(t, open, "../../../testdata/tiny-reasoner",
			backendtest.Tiny{MinMargin: 0.3, Logprob: 0.05, Golden: "fp32"})
	})
}

func TestRandomModelsMatchTransformers(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) {
		backendtest.Models(t, open, "../../../testdata/models", true, 1e-4)
	})
}

func TestOpsAreExactInFloat32(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) { backendtest.Run(t, open, backendtest.Float32) })
}

// Default arithmetic rounds inputs: to bfloat16 (8 bits) for bfloat16 weights,
// keys, values and probabilities, to int8 with a scale for each 32 for block
// formats; generic and AVX2 kernels round only keys and values.
var defaultDtype = backendtest.Tolerances{Exact: 1e-6, Dense: 1e-2, Quantised: 6e-2, Attention: 2e-2}

func TestOpsAreCloseInDefaultDtype(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) { backendtest.Run(t, open, defaultDtype) })
}
