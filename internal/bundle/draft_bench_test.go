package bundle

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/testdata/smollm2"
)

const passage = `The lighthouse keeper wrote down every ship that passed: its name, its flag, the hour and the weather. ` +
	`In forty years he had filled two hundred books, and nobody had ever asked to read them. When the harbour was ` +
	`rebuilt, the engineers wanted to know how often fog had closed the northern channel in October. The keeper went ` +
	`to the shelf, took down thirty-one books, and answered within the hour.`

// draftTasks are prompts whose answers quote them, some, or not at all.
var draftTasks = []struct {
	name, prompt string
	temperature  float64
	crowd        int
}{
	{"quoted", "Repeat the following text word for word:\n\n" + passage, 0, 1},
	{"quoted, sampled", "Repeat the following text word for word:\n\n" + passage, 0.5, 1},
	{"quoted in a crowd", "Repeat the following text word for word:\n\n" + passage, 0, 8},
	{"free", "Tell me a story about a cat that learned to swim.", 1, 1},
	{"free in a crowd", "Tell me a story about a cat that learned to swim.", 1, 8},
	{"code", "Write a Python class for a bank account with deposit, withdraw and transfer, and then tests for it.", 0.7, 1},
}

// BenchmarkDrafts runs the same requests with guesses and without, in turns:
// tokens a second without, the median of how many times faster it is with, and the
// share of guesses that were right. The texts must be the same.
func BenchmarkDrafts(b *testing.B) {
	path := smollm2.Need(b)
	var models [2]*Bundle
	for i := range models {
		m, err := Open(Config{Path: path, MaxModelLen: 2048, MaxSeqs: 16, DraftTokens: 8 * i})
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		models[i] = m
	}
	for _, task := range draftTasks {
		b.Run(task.name, func(b *testing.B) {
			seed := uint64(0)
			run := func(m *Bundle) (rate float64, texts []string) {
				texts = make([]string, task.crowd)
				tokens := make([]int, task.crowd)
				var wg sync.WaitGroup
				start := time.Now()
				for i := range task.crowd {
					wg.Go(func() { texts[i], tokens[i] = draftAnswer(b, m, task.prompt, task.temperature, seed+uint64(i)) })
				}
				wg.Wait()
				all := 0
				for _, n := range tokens {
					all += n
				}
				return float64(all) / time.Since(start).Seconds(), texts
			}
			for _, m := range models {
				run(m) // pages are touched
			}
			before := models[1].Engine.Stats()
			var plain, gain []float64
			for b.Loop() {
				seed++
				first := int(seed % 2) // whoever comes second finds the machine otherwise
				var rates [2]float64
				var texts [2][]string
				for _, i := range []int{first, 1 - first} {
					rates[i], texts[i] = run(models[i])
				}
				slow, fast, want, got := rates[0], rates[1], texts[0], texts[1]
				if !slices.Equal(got, want) {
					b.Fatalf("with guesses:\n%q\nwithout:\n%q", got, want)
				}
				plain, gain = append(plain, slow), append(gain, fast/slow)
			}
			slices.Sort(plain)
			slices.Sort(gain)
			after := models[1].Engine.Stats()
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(plain[len(plain)/2], "plain-tok/s")
			b.ReportMetric(gain[len(gain)/2], "x/p50")
			b.ReportMetric(gain[0], "x/min")
			if n := after.DraftTokens - before.DraftTokens; n > 0 {
				b.ReportMetric(100*float64(after.DraftAccepted-before.DraftAccepted)/float64(n), "%-right")
				b.ReportMetric(float64(n)/float64(after.OutputTokens-before.OutputTokens), "guesses/token")
			}
		})
	}
}

func draftAnswer(b *testing.B, m *Bundle, prompt string, temperature float64, seed uint64) (text string, tokens int) {
	s := m.Defaults
	s.Temperature, s.MaxTokens = temperature, 128
	r, err := m.Start(context.Background(), &pipeline.Request{
		Prompt: &llm.Prompt{Text: fmt.Sprintf("<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n", prompt)}, NoParser: true,
		N: 1, Sampling: s, Seed: &seed, SeparateReasoning: true,
	})
	if err != nil {
		b.Error(err)
		return "", 0
	}
	defer r.Close()
	if err := r.Each(context.Background(), func(e llm.Event) error {
		text += e.Text
		if e.Kind == llm.EventFinish {
			tokens = e.Usage.Completion
		}
		return nil
	}); err != nil {
		b.Error(err)
	}
	return text, tokens
}
