package bundle

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/testdata/smollm2"
)

// BenchmarkGrammarCrowd compares 16 requests at a time that follow a grammar with
// 16 that follow none, of the same lengths, in turns: tokens a second of either, and
// what the grammar costs in percent: masks, and steps that do not overlap.
func BenchmarkGrammarCrowd(b *testing.B) {
	path, ok := smollm2.Path()
	if !ok {
		b.Skip("SmolLM2 is not in the cache: run `make models` first")
	}
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
	free, guided := time.Duration(0), time.Duration(0)
	grammar := pipeline.NewGrammar(pipeline.GrammarRegex, `[A-Za-z0-9 .,;:"'?!\n-]*`, "regex")
	run(grammar) // the grammar is compiled, pages are touched
	n := 0
	for b.Loop() {
		free += run(nil)
		guided += run(grammar)
		n++
	}
	perSecond := func(d time.Duration) float64 { return float64(n*crowd*tokens) / d.Seconds() }
	b.ReportMetric(perSecond(free), "free-tok/s")
	b.ReportMetric(perSecond(guided), "guided-tok/s")
	b.ReportMetric(100*(1-perSecond(guided)/perSecond(free)), "%-lost")
	b.ReportMetric(0, "ns/op")
}
