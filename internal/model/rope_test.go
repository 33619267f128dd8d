package model

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// testdata/make_rope.py made the goldens with transformers, in float32.
func TestRotaryFrequenciesAreThoseOfTransformers(t *testing.T) {
	data, err := os.ReadFile("testdata/rope.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name      string          `json:"name"`
		HeadDim   int             `json:"head_dim"`
		Positions int             `json:"max_position_embeddings"`
		RoPE      json.RawMessage `json:"rope_parameters"`
		Scale     float64         `json:"scale"`
		Inv       []float64       `json:"inv"`
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) < 7 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		config, err := ParseConfig(edit(t, fmt.Sprintf(`"head_dim": %d, "max_position_embeddings": %d, "rope_theta": null, "rope_parameters": %s`, c.HeadDim, c.Positions, c.RoPE)))
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		got := config.RoPE.Spec(c.HeadDim)
		if len(got.Inv) != len(c.Inv) || math.Abs(got.Scale-c.Scale) > 1e-12 {
			t.Errorf("%s: %d frequencies, scale %g; want %d, %g", c.Name, len(got.Inv), got.Scale, len(c.Inv), c.Scale)
			continue
		}
		for i, want := range c.Inv {
			if math.Abs(got.Inv[i]-want) > 1e-5*want {
				t.Errorf("%s: frequency %d is %g, want %g", c.Name, i, got.Inv[i], want)
			}
		}
	}
}
