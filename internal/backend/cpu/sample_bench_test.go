package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/sample"
	"github.com/reasond/reasond/internal/llm"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// BenchmarkSample samples 16 rows a step on two threads, as BenchmarkRow of package
// sample does in Go.
func BenchmarkSample(b *testing.B) {
	settings := []struct {
		name string
		llm.SamplingParams
	}{
		{"greedy", llm.SamplingParams{TopP: 1}},
		{"random", llm.SamplingParams{Temperature: 1, TopP: 1}},
		{"top_p", llm.SamplingParams{Temperature: 1, TopP: 0.95}},
		{"qwen", llm.SamplingParams{Temperature: 0.6, TopP: 0.95, TopK: 20}},
		{"penalty", llm.SamplingParams{TopP: 1, RepetitionPenalty: 1.1}},
		{"logprobs", llm.SamplingParams{TopP: 1, Logprobs: true, TopLogprobs: 20}},
	}
	for _, vocab := range []int{49_152, 151_936} {
		m, err := kernels.New(kernels.Config{ISA: kernels.Best, Threads: 2, MaxRows: 1, MaxSeqs: 1, MaxContext: backend.PageTokens, MaxCopies: 1})
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		s, err := newScanner(m, backend.Config{MaxRows: 16, MaxSeqs: 16})
		if err != nil {
			b.Fatal(err)
		}
		logits, words := s.Floats(16*vocab), (vocab+31)/32
		rng := rand.New(rand.NewPCG(9, 9))
		for i := range logits {
			logits[i] = float32(rng.NormFloat64() * 2.5)
		}
		masks, err := m.Words(16 * words)
		if err != nil {
			b.Fatal(err)
		}
		for i := range masks {
			masks[i] = 0xfffff7ff
		}
		for _, p := range settings {
			for _, masked := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/vocab=%d/masked=%v", p.name, vocab, masked), func(b *testing.B) {
					b.ReportAllocs()
					slots := sample.NewSlots(16, s)
					batch := backend.Batch{Sampled: make([]backend.Sampled, 0, 16), LogitRows: make([]int32, 16), Masks: masks, MaskWords: words}
					for i := range 16 {
						slots.Set(i, backend.Slot{Params: p.SamplingParams, Prompt: make([]int32, 1000)})
						batch.Samples = append(batch.Samples, backend.Sample{Slot: int32(i), Logits: int32(i), Masked: masked})
					}
					row := func(i int) []float32 { return logits[i*vocab:][:vocab] }
					for b.Loop() {
						if err := slots.Sample(&batch, row); err != nil {
							b.Fatal(err)
						}
						for i := range batch.Samples {
							batch.Samples[i].Pos++
						}
					}
				})
			}
		}
	}
}
