package bench

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/testdata/smollm2"
)

// The golden is transformers' for the same file's weights in float32.
func TestPerplexityIsTransformers(t *testing.T) {
	path := smollm2.Need(t)
	data, err := os.ReadFile("../../testdata/smollm2/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Prose struct {
			IDs  []int32 `json:"ids"`
			Mean float64 `json:"nll_mean"`
		} `json:"prose"`
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	ids, want := golden.Prose.IDs, golden.Prose.Mean
	for _, c := range []struct {
		exact     bool
		tolerance float64 // of the mean: rounding of float32 sums; of int8 activations
	}{{true, 2e-4}, {false, 0.01}} {
		r, err := MeasurePerplexity(t.Context(), src, openCPU, ids, len(ids), 256, 0, c.exact, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := r.Perplexity
		if p.Tokens != len(ids)-1 || math.Abs(p.Mean-want) > c.tolerance || math.Abs(p.Value-math.Exp(p.Mean)) > 1e-9 {
			t.Errorf("exact %v: %+v, transformers says %g", c.exact, *p, want)
		}
	}
}
