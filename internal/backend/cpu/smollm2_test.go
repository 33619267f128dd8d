package cpu_test

import (
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/cpu"
)

// Every one of the ten prompts passes a step where the runner-up is within 0.1
// in logit, less than rounding activations to int8 moves it: greedy ids are
// asked of float32 alone, likelihood of both.
func TestSmolLM2GeneratesAsTransformersDoes(t *testing.T) {
	for _, dtype := range []struct {
		name    string
		float32 bool
		same    int // of 10 prompts
	}{{"float32", true, 8}, {"default", false, 0}} {
		t.Run(dtype.name, func(t *testing.T) {
			open := func(c backend.Config) (backend.Backend, error) { return cpu.New(c) }
			same, nll := backendtest.SmolLM2(t, open, dtype.float32, "../../../testdata/smollm2")
			t.Logf("%d of 10 prompts are the same, NLL is off by %.3f %%", same, 100*nll)
			if same < dtype.same || nll > 0.005 {
				t.Errorf("%d of 10 prompts are the same, must be %d or more; NLL is off by %.3f %%, may be 0.5 %%", same, dtype.same, 100*nll)
			}
		})
	}
}
