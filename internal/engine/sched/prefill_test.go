package sched

import "testing"

// TestNobodyStarvesAPrompt: beside small prompts that keep coming the huge one before
// them has half of the rows, and each of them is done in the plan after it came.
func TestNobodyStarvesAPrompt(t *testing.T) {
	s := New(Config{Pages: 1000, PageTokens: 4, Slots: 100, MaxPreemptions: 3})
	next := int32(0)
	add := func(n int) *Seq {
		ids := make([]int32, n) // nothing that is cached
		for i := range ids {
			next++
			ids[i] = next
		}
		g, err := s.Add(Request{Prompt: ids, N: 1, Limit: n + 1})
		if err != nil {
			t.Fatal(err)
		}
		return g.Seqs[0]
	}
	huge := add(400)
	for step := range 20 {
		a, b := add(4), add(4)
		rows := map[*Seq]int{}
		p := s.Plan(Budget{Tokens: 100, PrefillTokens: 16})
		results := make([]Result, len(p.Items))
		for i, it := range p.Items {
			rows[it.Seq] = it.Count
			if it.Logits > 0 {
				results[i].Tokens = []int32{1}
			}
		}
		s.Apply(results)
		if rows[huge] != 8 || rows[a]+rows[b] != 8 {
			t.Fatalf("step %d: %d rows of the huge prompt, %d and %d of the small ones", step, rows[huge], rows[a], rows[b])
		}
		s.Finish(a)
		s.Finish(b)
	}
	for range 3 { // more of them than rows
		add(10)
	}
	p := s.Plan(Budget{Tokens: 100, PrefillTokens: 16})
	for _, it := range p.Items {
		if it.Seq == huge && it.Count < 8 {
			t.Errorf("the huge prompt has %d of 16 rows", it.Count)
		}
	}
}
