package cpu_test

import (
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/cpu"
)

func openRanks(cfg backend.Config, n int) ([]backend.Backend, error) {
	group, err := cpu.NewGroup(cfg, n)
	var all []backend.Backend
	for _, b := range group {
		all = append(all, b)
	}
	return all, err
}

func TestRanksAreExactInFloat32(t *testing.T) {
	backendtest.Ranks(t, openRanks, backendtest.Float32)
}
func TestRanksAreCloseInDefaultDtype(t *testing.T) { backendtest.Ranks(t, openRanks, defaultDtype) }

func TestModelsDividedAmongRanks(t *testing.T) {
	for _, name := range []string{
		"llama", "qwen2", "qwen3", "llama-linear", "qwen3-moe", "gpt-oss", "gpt-oss-bf16", "gpt-oss.gguf", "deepseek-v3", "deepseek-v3-fp8",
		"qwen3-fp8", "qwen2-awq",
	} {
		t.Run(name, func(t *testing.T) {
			// A panel of packed weights is 32 rows: of tiny models the padding counts.
			backendtest.ModelRanks(t, openRanks, models, name, 2, backendtest.ExactGoldens, 0.7)
		})
	}
}
