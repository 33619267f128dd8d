package reference_test

import (
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/reference"
)

func openRanks(cfg backend.Config, n int) ([]backend.Backend, error) {
	group, err := reference.NewGroup(cfg, n)
	var all []backend.Backend
	for _, b := range group {
		all = append(all, b)
	}
	return all, err
}

func TestRanks(t *testing.T) { backendtest.Ranks(t, openRanks, backendtest.Float32) }

// Law: ranks compute what one backend does, each with its share of the weights.
// On four ranks the tiny models' two key-value heads are held twice.
func TestModelsDividedAmongRanks(t *testing.T) {
	for _, name := range []string{
		"llama", "qwen2", "qwen3", "llama-linear", "qwen3-moe", "gpt-oss", "gpt-oss-bf16", "deepseek-v3", "deepseek-v3-fp8",
		"qwen3-fp8", "qwen2-awq", "llama-gptq", "qwen3-w4a16",
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.ModelRanks(t, openRanks, models, name, 2, backendtest.ExactGoldens, 0.55)
		})
	}
	for _, name := range []string{"qwen3-moe", "gpt-oss", "deepseek-v3", "qwen2-awq"} {
		t.Run(name+"/4", func(t *testing.T) {
			backendtest.ModelRanks(t, openRanks, models, name, 4, backendtest.ExactGoldens, 0.37)
		})
	}
}

func TestRanksThatDoNotDivideAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		why  string
	}{
		{"llama", 3, "num_attention_heads 4 does not divide among 3 ranks"},
		{"gpt-oss-bf16", 8, "num_attention_heads 4"},
		{"llama-quant", 2, "cut a"},
	} {
		t.Run(c.name, func(t *testing.T) { backendtest.RefusedRanks(t, openRanks, models, c.name, c.n, c.why) })
	}
}

const models = "../../../testdata/models"
