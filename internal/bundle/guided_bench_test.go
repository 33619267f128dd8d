package bundle

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/testdata/smollm2"
)

// BenchmarkGrammarCrowd compares 16 requests at a time that follow a grammar with
// 16 that follow none, of the same lengths, in turns: tokens a second without, and
// the median of what the grammar costs in percent: masks, and steps that do not
// overlap.
func BenchmarkGrammarCrowd(b *testing.B) {
	path := smollm2.Need(b)
	m, err := Open(Config{Path: path, MaxModelLen: 1024, MaxSeqs: 16})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	const crowd, tokens = 16, 128
	run := func(g *pipeline.Grammar) time.Duration {
		var wg sync.WaitGroup
		start := time.Now()
		for range crowd {
			wg.Go(func() {
				s := m.Defaults
				s.Temperature, s.MaxTokens, s.IgnoreEOS = 0, tokens, true
				r, err := m.Start(context.Background(), &pipeline.Request{
					Prompt: &llm.Prompt{Text: "Once upon a time there was a counter of letters who"}, NoParser: true,
					N: 1, Sampling: s, SeparateReasoning: true, Grammar: g,
				})
				if err != nil {
					b.Error(err)
					return
				}
				defer r.Close()
				if err := r.Each(context.Background(), func(e llm.Event) error {
					if e.Kind == llm.EventFinish && e.Usage.Completion != tokens {
						b.Errorf("%d tokens", e.Usage.Completion)
					}
					return nil
				}); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		return time.Since(start)
	}
	grammar := pipeline.NewGrammar(pipeline.GrammarRegex, `[A-Za-z0-9 .,;:"'?!\n-]*`, "regex")
	run(grammar) // the grammar is compiled, pages are touched
	var free, lost []float64
	for b.Loop() {
		a, g, c := run(nil), run(grammar), run(nil)
		free = append(free, crowd*tokens/a.Seconds())
		lost = append(lost, 100*(1-(a+c).Seconds()/2/g.Seconds()))
	}
	slices.Sort(free)
	slices.Sort(lost)
	b.ReportMetric(free[len(free)/2], "free-tok/s")
	b.ReportMetric(lost[len(lost)/2], "%-lost/p50")
	b.ReportMetric(0, "ns/op")
}
