package sched

import "testing"

// BenchmarkDecodePlan is one plan and apply of 64 sequences that decode.
func BenchmarkDecodePlan(b *testing.B) {
	s := New(Config{Pages: 1 << 17, PageTokens: 32, Slots: 64, MaxPreemptions: 3})
	for range 64 {
		if _, err := s.Add(Request{Prompt: make([]int32, 100), N: 1, Limit: 1 << 21}); err != nil {
			b.Fatal(err)
		}
	}
	results := make([]Result, 64)
	token := []int32{7}
	step := func() {
		p := s.Plan(Budget{Tokens: 1 << 14, PrefillTokens: 1 << 14})
		for i, it := range p.Items {
			results[i] = Result{Seq: it.Seq, Tokens: token}
		}
		s.Apply(results[:len(p.Items)])
	}
	step()
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}
