package sched

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/reasond/reasond/internal/engine/kv"
	"pgregory.net/rapid"
)

// TestMain runs more histories than rapid does by itself: they are cheap.
func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "1500")
	flag.Parse()
	os.Exit(m.Run())
}

// world is a scheduler and a device that keeps token ids in its pages. It checks at every row that the pages
// hold the sequence's own tokens.
type world struct {
	s      *Scheduler
	cfg    Config
	pages  [][]int32
	last   map[int]int32 // by slot
	groups []*Group
	flight []*Plan // not run yet: devices run them in order
	known  map[*Seq][]int32
	scored map[*Group]int // prompt tokens whose rows have landed, without the first

	t       *rapid.T // Draft draws from it
	guesses [3]int   // run; right; made behind a token in flight

	considered []Item // the items of the plan being made
	asked      int    // the last of them that Draft was asked about
	left       []int  // guesses of each item of the last plan run that were left out
}

// Consider sees the items that Draft will be asked about.
func (w *world) Consider(items []Item, rows, left int) {
	if rows < len(items) || len(items) == 0 {
		w.t.Fatalf("%d items of %d rows", len(items), rows)
	}
	w.considered, w.asked = items, -1
}

// Draft guesses right for a while, then wrong, then again what would be right at
// that place.
func (w *world) Draft(i, most int) []int32 {
	it := &w.considered[i]
	q, unknown := it.Seq, it.Start+it.Count-len(it.Seq.tokens)
	if most < 1 || i <= w.asked || unknown != q.pending-1 || it.Draft > 0 {
		w.t.Fatalf("at most %d guesses for item %d after %d, behind %d unknown tokens with %d pending", most, i, w.asked, unknown, q.pending)
	}
	w.asked = i
	n := rapid.IntRange(0, min(most, 6)).Draw(w.t, "guesses")
	right := rapid.IntRange(0, n).Draw(w.t, "right")
	tokens := slices.Clone(w.known[q])
	for range unknown + n {
		tokens = append(tokens, oracle(q, tokens))
	}
	guesses := tokens[len(tokens)-n:]
	if right < n {
		guesses[right]++
	}
	if unknown > 0 {
		w.guesses[2] += n
	}
	return guesses
}

// run executes a plan, some of its last guesses left out, and returns what each item
// samples: up to the first wrong guess.
func (w *world) run(t *rapid.T, p *Plan) (sampled [][]int32) {
	read, written := map[kv.Page]bool{}, map[kv.Page]bool{}
	for _, c := range p.Copies {
		if read[c.Dst] || written[c.Dst] || written[c.Src] {
			t.Fatalf("copies depend on their order: %v", p.Copies)
		}
		read[c.Src], written[c.Dst] = true, true
		w.pages[c.Dst] = slices.Clone(w.pages[c.Src])
	}
	w.left = w.left[:0]
	for _, it := range p.Items {
		left := 0
		if it.Draft > 0 {
			left = rapid.IntRange(0, it.Draft).Draw(t, "left out")
		}
		w.left = append(w.left, left)
		for i, id := range it.Tokens[:it.Count-left] {
			if id < 0 {
				if ^id != int32(it.Slot) {
					t.Fatalf("a placeholder of slot %d in slot %d", ^id, it.Slot)
				}
				id = w.last[it.Slot]
			}
			pos := it.Start + i
			w.pages[it.Tables[0][pos/w.cfg.PageTokens]][pos%w.cfg.PageTokens] = id
		}
	}
	for i, it := range p.Items {
		var tokens []int32
		first := it.Count - it.Logits
		for row := first; row < it.Count-w.left[i]; row++ {
			if row > first && it.Tokens[row] != tokens[len(tokens)-1] {
				break
			}
			next := int32(0)
			for pos := range it.Start + row + 1 {
				next = next*31 + w.pages[it.Tables[0][pos/w.cfg.PageTokens]][pos%w.cfg.PageTokens]
			}
			next = (next%1000+1000)%1000 + int32(it.Seq.Choice)*1000
			w.last[it.Slot] = next
			tokens = append(tokens, next)
		}
		w.guesses[0] += it.Draft - w.left[i]
		w.guesses[1] += max(len(tokens)-1, 0)
		sampled = append(sampled, tokens)
	}
	return sampled
}

// oracle is the sequence's next token by its own tokens.
func oracle(q *Seq, tokens []int32) int32 {
	next := int32(0)
	for _, id := range tokens {
		next = next*31 + id
	}
	return (next%1000+1000)%1000 + int32(q.Choice)*1000
}

func (w *world) apply(t *rapid.T) {
	p := w.flight[0]
	w.flight = w.flight[1:]
	tokens := w.run(t, p)
	var results []Result
	for i, it := range p.Items {
		r := Result{Seq: it.Seq, Left: w.left[i]}
		if it.Logits > 0 {
			r.Tokens = tokens[i]
			for _, id := range r.Tokens {
				q := it.Seq
				if q.Done() {
					break
				}
				if want := oracle(q, w.known[q]); want != id {
					t.Fatalf("after %v a sequence got %d, want %d", w.known[q], id, want)
				}
				w.known[q] = append(w.known[q], id)
			}
		}
		results = append(results, r)
	}
	w.s.Apply(results)
	for _, it := range p.Items {
		q := it.Seq
		if g := q.Group(); g.scored && !q.Done() {
			if it.Start <= w.scored[g] {
				w.scored[g] = max(w.scored[g], it.Start+len(it.Score))
			}
			if it.Logits > 0 && w.scored[g] != q.promptLen-1 {
				t.Fatalf("a token is sampled when %d of %d are scored", w.scored[g], q.promptLen-1)
			}
		}
		if !q.Done() && !slices.Equal(q.Tokens(), w.known[q]) {
			t.Fatalf("tokens %v, want %v", q.Tokens(), w.known[q])
		}
		if !q.Done() && len(q.Tokens()) >= q.Limit() {
			w.s.Finish(q)
		}
	}
}

func (w *world) plan(t *rapid.T, b Budget) {
	before := slices.Clone(w.s.running)
	w.t = t
	p := w.s.Plan(b)
	if p == nil {
		if len(w.flight) == 0 && w.s.Running()+w.s.Waiting() > 0 {
			t.Fatalf("no plan, with %d running and %d waiting", w.s.Running(), w.s.Waiting())
		}
		return
	}
	rows, prefill, logits, drafts := 0, 0, 0, 0
	planned := map[*Seq]bool{}
	for _, it := range p.Items {
		if planned[it.Seq] || len(it.Tokens) != it.Count || it.Count < 1 || it.Logits > it.Count || it.Logits > 0 && it.Logits != 1+it.Draft || !it.Seq.Running() {
			t.Fatalf("item %+v", it)
		}
		planned[it.Seq] = true
		drafts += it.Draft
		if it.Draft > 0 && it.Start+it.Count >= it.Seq.limit {
			t.Fatalf("guesses of %+v reach beyond %d tokens", it, it.Seq.limit)
		}
		rows += it.Count
		logits += it.Logits + len(it.Score)
		for k, id := range it.Score {
			if id != it.Seq.tokens[it.Start+k+1] || it.Start+k+1 >= it.Seq.promptLen {
				t.Fatalf("row %d of %+v scores %d", k, it, id)
			}
		}
		if it.Start+it.Count <= it.Seq.prefillEnd {
			prefill += it.Count
		}
	}
	if drafts > 0 && prefill > 0 {
		t.Fatalf("%d guesses beside %d rows of prompts", drafts, prefill)
	}
	if rows > b.Tokens || prefill > b.PrefillTokens {
		t.Fatalf("%d rows, %d of prompts, in the budget %+v", rows, prefill, b)
	}
	if w.cfg.Logits > 0 && logits > w.cfg.Logits {
		t.Fatalf("%d rows with logits of %d", logits, w.cfg.Logits)
	}
	for _, q := range before {
		if b.Tokens >= 200 && q.Running() && !q.prefilling() && !planned[q] && q.uncomputed() > 0 {
			t.Fatalf("a decoding sequence was left out")
		}
	}
	w.flight = append(w.flight, p)
}

func (w *world) pick(t *rapid.T, ok func(*Seq) bool) *Seq {
	var all []*Seq
	for _, g := range w.groups {
		for _, q := range g.Seqs {
			if !q.Done() && ok(q) {
				all = append(all, q)
			}
		}
	}
	if len(all) == 0 {
		t.Skip("nothing to draw from")
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
}

// TestRandomHistories: whatever is added, finished, failed, forced and however
// plans overlap, every token is what the sequence alone would have got, the
// state stays consistent, somebody always advances, and nothing is lost.
func TestRandomHistories(t *testing.T) {
	var guesses [3]int
	defer func() {
		if !t.Failed() && (guesses[1] < 100 || guesses[0]-guesses[1] < 100 || guesses[2] < 10) {
			t.Errorf("too few guesses: %v", guesses)
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{PageTokens: 4, MaxPreemptions: rapid.SampledFrom([]int{1, 3}).Draw(t, "preempt"),
			Pages: rapid.IntRange(6, 40).Draw(t, "pages"), Slots: rapid.IntRange(1, 6).Draw(t, "slots")}
		scrub := rapid.Bool().Draw(t, "scrub")
		if scrub {
			cfg.Scrub = kv.Page(cfg.Pages)
		}
		if rapid.Bool().Draw(t, "few logits") {
			cfg.Logits = cfg.Slots + rapid.IntRange(0, 3).Draw(t, "logits")
		}
		w := &world{s: New(cfg), cfg: cfg, last: map[int]int32{}, known: map[*Seq][]int32{}, scored: map[*Group]int{}}
		if rapid.Bool().Draw(t, "drafts") {
			w.cfg.Drafter = w
			w.s = New(w.cfg)
		}
		for range cfg.Pages + 1 {
			w.pages = append(w.pages, []int32{-7, -77, -777, -7777})
		}
		texts := [][]int32{make([]int32, 24), make([]int32, 24)} // few, so that prefixes are shared
		for i := range texts[0] {
			texts[0][i], texts[1][i] = int32(i%5), int32(i%7)
		}
		budget := func() Budget {
			return Budget{Tokens: rapid.SampledFrom([]int{6, 30, 200}).Draw(t, "tokens"), PrefillTokens: rapid.SampledFrom([]int{1, 5, 20, 200}).Draw(t, "prefill")}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n := rapid.IntRange(1, 24).Draw(t, "prompt")
				r := Request{N: rapid.SampledFrom([]int{1, 1, 1, 2, 4}).Draw(t, "n"), Priority: rapid.IntRange(0, 1).Draw(t, "prio"),
					Prompt: texts[rapid.IntRange(0, 1).Draw(t, "text")][:n], Scope: []string{"s"}}
				r.Limit = min(n+rapid.IntRange(1, 30).Draw(t, "max"), cfg.Pages*cfg.PageTokens)
				if r.Score = rapid.IntRange(0, 3).Draw(t, "score") == 0; r.Score {
					r.Scope = []string{"own", strconv.Itoa(len(w.groups))}
				}
				r.Guided = make([]bool, r.N)
				r.Guided[0] = rapid.Bool().Draw(t, "guided")
				if r.Limit <= n {
					t.Skip("no room for output: not a request")
				}
				g, err := w.s.Add(r)
				if err != nil {
					t.Fatal(err)
				}
				for _, q := range g.Seqs {
					w.known[q] = slices.Clone(r.Prompt)
				}
				w.groups = append(w.groups, g)
			},
			"plan": func(t *rapid.T) {
				if len(w.flight) > 1 {
					t.Skip("two plans are unapplied: Plan may not be called")
				}
				w.plan(t, budget())
			},
			"step": func(t *rapid.T) { // the usual circle, to get far
				for len(w.flight) > 0 {
					w.apply(t)
				}
				for range 4 {
					w.plan(t, budget())
					if len(w.flight) > 0 {
						w.apply(t)
					}
				}
			},
			"apply": func(t *rapid.T) {
				if len(w.flight) == 0 {
					t.Skip("no plan to apply")
				}
				w.apply(t)
			},
			"finish": func(t *rapid.T) { w.s.Finish(w.pick(t, func(*Seq) bool { return true })) },
			"extend": func(t *rapid.T) {
				q := w.pick(t, func(q *Seq) bool {
					return q.guided && q.pending == 0 && len(q.tokens) > q.promptLen && len(q.tokens)+3 < q.limit
				})
				ids := rapid.SliceOfN(rapid.Int32Range(1, 2), 1, 3).Draw(t, "ids")
				w.s.Extend(q, ids)
				w.known[q] = append(w.known[q], ids...)
			},
			"fail": func(t *rapid.T) {
				if len(w.flight) == 0 {
					t.Skip("no plan to fail")
				}
				for _, it := range w.flight[0].Items { // its rows left nothing one could trust
					for pos := it.Start; pos < it.Start+it.Count; pos++ {
						w.pages[it.Tables[0][pos/cfg.PageTokens]][pos%cfg.PageTokens] = -1
					}
				}
				w.flight = w.flight[1:]
				w.s.Fail()
			},
			"": func(t *rapid.T) {
				if err := w.s.Check(); err != nil {
					t.Fatal(err)
				}
			},
		})
		for i := 0; len(w.flight) > 0 || w.s.Running()+w.s.Waiting() > 0; i++ {
			if len(w.flight) < 2 {
				w.plan(t, Budget{Tokens: 200, PrefillTokens: 16})
			}
			if len(w.flight) > 0 {
				w.apply(t)
			}
			if i > 20000 {
				t.Fatal("it does not come to an end")
			}
		}
		for i := range guesses {
			guesses[i] += w.guesses[i]
		}
		if st := w.s.Stats(); int(st.DraftAccepted) > w.guesses[1] || st.DraftTokens < st.DraftAccepted {
			t.Fatalf("%d guesses, %d of them right; counted %+v", w.guesses[0], w.guesses[1], st)
		}
		w.s.Plan(Budget{Tokens: 200, PrefillTokens: 16})
		if err := w.s.Check(); err != nil || w.s.pool.Free() != cfg.Pages {
			t.Fatalf("at the end %d of %d pages are free: %v", w.s.pool.Free(), cfg.Pages, err)
		}
	})
}
