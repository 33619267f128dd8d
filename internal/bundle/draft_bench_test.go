package bundle

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
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

type draftTask struct {
	name, prompt string
	temperature  float64
	crowd        int
}

// draftTasks are prompts whose answers quote them, some, or not at all.
var draftTasks = []draftTask{
	{"quoted", "Repeat the following text word for word:\n\n" + passage, 0, 1},
	{"quoted, sampled", "Repeat the following text word for word:\n\n" + passage, 0.5, 1},
	{"quoted in a crowd", "Repeat the following text word for word:\n\n" + passage, 0, 8},
	{"free, greedy", "Tell me a story about a cat that learned to swim.", 0, 1},
	{"free", "Tell me a story about a cat that learned to swim.", 1, 1},
	{"free in a crowd", "Tell me a story about a cat that learned to swim.", 1, 8},
	{"code", "Write a Python class for a bank account with deposit, withdraw and transfer, and then tests for it.", 0.7, 1},
}

// BenchmarkDrafts runs the same requests with guesses and without, in turns; see
// inTurns.
func BenchmarkDrafts(b *testing.B) {
	inTurns(b, Config{Path: smollm2.Need(b)}, Config{Path: smollm2.Need(b), DraftTokens: 8}, draftTasks)
}

// BenchmarkDraftModel does so with a draft model and without any guesses. SmolLM2 in
// 4 bits guesses for itself in 16 and 32: no smaller model of its vocabulary is fetched.
func BenchmarkDraftModel(b *testing.B) {
	small := smollm2.Need(b)
	for _, large := range []Config{{Path: small, Float32: true}, {Path: strings.Replace(small, "Q4_1", "BF16", 1)}} {
		name := "float32"
		if !large.Float32 {
			name = "bfloat16"
			if _, err := os.Stat(large.Path); err != nil {
				b.Log(err)
				continue
			}
		}
		b.Run(name, func(b *testing.B) {
			with := large
			with.Draft, with.DraftTokens = small, 8
			inTurns(b, large, with, draftTasks[:len(draftTasks)-1])
		})
	}
}

// inTurns gives two configurations the same requests in turns: tokens a second of the
// first, the median of how many times faster the second is, and the share of its guesses
// that were right. The texts must be the same.
func inTurns(b *testing.B, plain, guessing Config, tasks []draftTask) {
	var models [2]*Bundle
	for i, cfg := range []Config{plain, guessing} {
		cfg.MaxModelLen, cfg.MaxSeqs = 2048, 16
		m, err := Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		models[i] = m
	}
	for _, task := range tasks {
		b.Run(task.name, func(b *testing.B) { task.inTurns(b, models) })
	}
}

func (t draftTask) inTurns(b *testing.B, models [2]*Bundle) {
	for _, m := range models {
		t.run(b, m, 0) // pages are touched
	}
	before := models[1].Engine.Stats()
	var plain, gain []float64
	for seed := uint64(1); b.Loop(); seed++ {
		first := int(seed % 2) // whoever comes second finds the machine otherwise
		var rates [2]float64
		var texts [2][]string
		for _, i := range []int{first, 1 - first} {
			rates[i], texts[i] = t.run(b, models[i], seed)
		}
		if !slices.Equal(texts[0], texts[1]) {
			b.Fatalf("with guesses:\n%q\nwithout:\n%q", texts[1], texts[0])
		}
		plain, gain = append(plain, rates[0]), append(gain, rates[1]/rates[0])
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
}

// run has a crowd answer, and returns tokens a second and the texts.
func (t draftTask) run(b *testing.B, m *Bundle, seed uint64) (rate float64, texts []string) {
	texts = make([]string, t.crowd)
	tokens := make([]int, t.crowd)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range t.crowd {
		wg.Go(func() { texts[i], tokens[i] = draftAnswer(b, m, t.prompt, t.temperature, 10*seed+uint64(i)) })
	}
	wg.Wait()
	all := 0
	for _, n := range tokens {
		all += n
	}
	return float64(all) / time.Since(start).Seconds(), texts
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
