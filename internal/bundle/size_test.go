package bundle

import (
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/model"
)

// A GPU's room goes to weights, activations and one context of KV pages at least: a
// default context shrinks to what fits, one that was asked for is refused with the
// numbers, in a line.
func TestAContextFitsBesideTheWeightsOfAGPU(t *testing.T) {
	arch := &model.Config{Positions: 8192, Layers: 4, Hidden: 64, Heads: 8, KVHeads: 4, HeadDim: 32, Intermediate: 128, Vocab: 1000}
	cfg := Config{MaxBatchedTokens: 64, MaxSeqs: 4}
	const weightBytes = 300 << 20
	page := backend.PageTokens * arch.KVBytesPerToken(2)
	beside := weightBytes + workingBytes(cfg, arch)
	for _, c := range []struct {
		name            string
		asked           int
		kvBytes, room   int64
		context, pages  int // pages: 0, which the device decides
		refusedWithRoom string
	}{
		{"all fits", 0, 0, beside + 1000*page, 8192, 0, ""},
		{"ten pages are left", 0, 0, beside + 10*page + 1, 10 * backend.PageTokens, 0, ""},
		{"a context that was asked for fits", 300, 0, beside + 10*page, 10 * backend.PageTokens, 0, ""},
		{"one page too few", 321, 0, beside + 10*page, 0, 0, "493 MiB"},
		{"not a page", 0, 0, beside + page - 1, 0, 0, "493 MiB"},
		{"not the weights", 0, 0, 100 << 20, 0, 0, "100 MiB"},
		{"pages by their bytes", 0, 20*page + 5, beside + page, 20 * backend.PageTokens, 20, ""},
	} {
		cfg.MaxModelLen, cfg.KVBytes = c.asked, c.kvBytes
		got, err := gpuSizes(cfg, arch, weightBytes, c.room)
		if c.refusedWithRoom != "" {
			for _, word := range []string{"has room for " + c.refusedWithRoom, "weights take 300 MiB", "activations about 193 MiB", "the KV cache of one context", "--gpu-memory-utilization"} {
				if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v, without %q", c.name, err, word)
				}
			}
			continue
		}
		if err != nil || got.MaxContext != c.context || got.Pages != c.pages || got.MaxRows != 64 || got.MaxSeqs != 4 {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}
