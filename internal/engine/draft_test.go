package engine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/draft"
	"github.com/reasond/reasond/internal/llm"
)

// seer is a source that has seen texts before: it guesses what follows in the
// first that begins with a sequence's tokens, this share of it right.
type seer struct {
	texts  [][]int32
	right  float64
	rng    *rand.Rand
	tokens []int32
}

func (s *seer) Learn(tokens []int32) {
	if len(tokens) < len(s.tokens) || !slices.Equal(tokens[:len(s.tokens)], s.tokens) {
		panic("tokens were unlearnt")
	}
	s.tokens = slices.Clone(tokens)
}

func (s *seer) Guess(dst []draft.Guess, n int) []draft.Guess {
	for _, text := range s.texts {
		if len(text) <= len(s.tokens) || !slices.Equal(text[:len(s.tokens)], s.tokens) {
			continue
		}
		for _, id := range text[len(s.tokens):min(len(text), len(s.tokens)+n)] {
			if s.rng.Float64() >= s.right {
				id = (id + 1) % fakeVocab
			}
			dst = append(dst, draft.Guess{Token: id, Odds: 0.5})
		}
		return dst
	}
	for range n {
		dst = append(dst, draft.Guess{Token: s.rng.Int32N(fakeVocab), Odds: 0.5})
	}
	return dst
}

// seers makes sources that know all answers to these requests.
func seers(reqs []*llm.Request, context int, right float64) func() draft.Source {
	var texts [][]int32
	for _, req := range reqs {
		for i := range req.N {
			ids, _ := want(req.Prompt.IDs, req.Sampling, i, context)
			texts = append(texts, slices.Concat(req.Prompt.IDs, ids))
		}
	}
	made := uint64(0)
	return func() draft.Source {
		made++
		return &seer{texts: texts, right: right, rng: rand.New(rand.NewPCG(made, 9))}
	}
}

// Law: whoever guesses, and however well, every choice gets the tokens and the
// finish that it gets alone without guesses; in chunks, with forks, prefix hits,
// stop ids, min_tokens and penalties, and while pages run out.
func TestGuessesChangeNoAnswer(t *testing.T) {
	reqs := mixed(rand.New(rand.NewPCG(8, 4)), 40, 150, 60)
	for name, right := range map[string]float64{"right": 1, "wrong": 0, "mixed": 0.8, "n-grams": -1, "paying": 0.9} {
		for _, pages := range []int{128, 10} {
			t.Run(fmt.Sprintf("%s, %d pages", name, pages), func(t *testing.T) {
				cfg := small()
				cfg.Pages, cfg.MaxLogits = pages, 20
				be := newFake(t, cfg)
				submitted := make(chan struct{})
				be.holdUntil(submitted)
				e := start(t, be, func(c *Config) {
					c.DraftTokens, c.PrefillRows, c.tweak.reckless = 5, 20, name != "paying"
					if right >= 0 {
						c.tweak.guesses = seers(reqs, cfg.MaxContext, right)
					}
					if pages < 100 {
						c.tweak.poison = pages - 1
					}
				})
				crowdThen(t, e, reqs, func() { close(submitted) })
				for _, req := range reqs[:10] {
					expect(t, e, req, ask(t, e, req))
				}
				s := e.Stats()
				switch {
				case s.DraftTokens == 0 && right >= 0 && name != "paying",
					right == 0 && s.DraftAccepted > s.DraftTokens/20,
					right == 1 && s.DraftAccepted < s.DraftTokens*3/4,
					name == "mixed" && (s.DraftAccepted < s.DraftTokens/3 || s.DraftAccepted > s.DraftTokens*9/10):
					t.Errorf("%d of %d guesses were right", s.DraftAccepted, s.DraftTokens)
				}
				if pages < 100 && s.Preemptions == 0 {
					t.Error("nothing was preempted")
				}
				settled(t, e)
			})
		}
	}
}

// Law: the tokens that are counted are those that were sent, and right guesses
// save steps.
func TestTokensAreCountedAndStepsSaved(t *testing.T) {
	var reqs []*llm.Request
	total := uint64(0)
	for i := range 20 {
		p := greedy(3 + i)
		p.StopIDs = []int32{1, 2, 3, 4, 5, 6}
		reqs = append(reqs, newReq(prompt(uint64(i), 20), p))
	}
	be := newFake(t, small())
	e := start(t, be, func(c *Config) {
		c.DraftTokens, c.tweak.reckless = 16, true
		c.tweak.guesses = seers(reqs, be.cfg.MaxContext, 1)
	})
	for _, req := range reqs {
		got := ask(t, e, req)
		expect(t, e, req, got)
		total += uint64(len(got[0].ids))
	}
	if s := e.Stats(); s.OutputTokens != total || s.Steps > total/2 {
		t.Errorf("%d tokens in %d steps, %d were sent", s.OutputTokens, s.Steps, total)
	}
	settled(t, e)
}

// A row that fails behind right guesses ends its choice behind their tokens.
func TestAFaultBehindGuessesEndsTheChoiceThere(t *testing.T) {
	p := greedy(40)
	p.IgnoreEOS = true
	req := newReq(prompt(5, 9), p)
	ids, _ := want(req.Prompt.IDs, p, 0, small().MaxContext)
	broken := errors.New("broken")
	for n := range 20 {
		be := newFake(t, small())
		left := n
		be.rowErr = func(backend.Slot) error {
			if left--; left < 0 {
				return broken
			}
			return nil
		}
		e := start(t, be, func(c *Config) {
			c.DraftTokens, c.tweak.reckless, c.tweak.guesses = 6, true, seers([]*llm.Request{req}, be.cfg.MaxContext, 1)
		})
		a := ask(t, e, req)[0]
		if a.finish.Reason != llm.FinishError || !errors.Is(a.finish.Err, broken) || !slices.Equal(a.ids, ids[:n]) {
			t.Errorf("a fault in row %d: %v after %v", n, a.finish.Err, a.ids)
		}
		settled(t, e)
	}
}

// Guided choices have no guesses, their neighbours do.
func TestGuidedChoicesAreNotGuessedAt(t *testing.T) {
	be := newFake(t, small())
	be.onBatch = func(b *backend.Batch) {
		for i := range b.Samples {
			if b.Samples[i].Drafted && be.slots[b.Samples[i].Slot].Params.Seed == 77 {
				t.Error("a guided choice is guessed at")
			}
		}
	}
	p := greedy(200)
	p.IgnoreEOS = true
	free := newReq(prompt(1, 30), p)
	e := start(t, be, func(c *Config) {
		c.DraftTokens, c.tweak.reckless, c.tweak.guesses = 4, true, seers([]*llm.Request{free}, be.cfg.MaxContext, 1)
	})
	held := newReq(prompt(2, 30), p)
	held.Sampling.Seed, held.Sampling.MaxTokens = 77, 20
	submitted := make(chan struct{})
	held.Guide = func(int) llm.Guide { return onlyOdd{} }
	var wait sync.WaitGroup
	be.holdUntil(submitted)
	first, s := submit(t, e, free), submit(t, e, held) // guesses come before masks
	close(submitted)
	wait.Go(func() {
		a := receive(t, s, 1)[0]
		if len(a.ids) != 20 || slices.ContainsFunc(a.ids, func(id int32) bool { return id%2 == 0 }) {
			t.Errorf("guided: %v", a.ids)
		}
	})
	expect(t, e, free, receive(t, first, 1))
	wait.Wait()
	if e.Stats().DraftAccepted == 0 {
		t.Error("no guess was right")
	}
	settled(t, e)
}

type onlyOdd struct{}

func (onlyOdd) Accept([]int32) llm.Directive { return llm.Directive{} }
func (onlyOdd) Mask(dst []uint32) bool {
	for i := range dst {
		dst[i] = 0xaaaaaaaa
	}
	return true
}

// A backend that cannot check guesses gets none.
func TestGuessesNeedABackendThatChecksThem(t *testing.T) {
	be := newFake(t, small())
	be.onBatch = func(b *backend.Batch) {
		for _, s := range b.Samples {
			if s.Drafted {
				t.Error("a guess")
			}
		}
	}
	p := greedy(60)
	p.IgnoreEOS = true
	req := newReq(prompt(1, 30), p)
	size := be.cfg
	e := startOn(t, undrafted{be}, size, func(c *Config) {
		c.DraftTokens, c.tweak.reckless, c.tweak.guesses = 4, true, seers([]*llm.Request{req}, size.MaxContext, 1)
	})
	expect(t, e, req, ask(t, e, req))
	settled(t, e)
}

type undrafted struct{ *fakeBackend }

func (u undrafted) Info() backend.Info {
	i := u.fakeBackend.Info()
	i.Drafts = false
	return i
}

// Law: guesses are made while they raise the expected tokens per second of the
// whole step, by what steps of so many rows have taken.
func TestGuessesAreMadeWhereTheyPay(t *testing.T) {
	flat := func(rows int) float64 { return 1 + 0.02*float64(rows) } // memory-bound
	linear := func(rows int) float64 { return float64(rows) }        // compute-bound
	knee := func(rows int) float64 { return math.Max(1, float64(rows)/8) }
	for _, c := range []struct {
		name string
		cost func(int) float64
		rows int
		odds float64
		want int
	}{
		{"sure, memory-bound", flat, 1, 1, 8},
		{"likely, memory-bound", flat, 1, 0.8, 8},
		{"unlikely, memory-bound", flat, 1, 0.05, 0},
		{"sure, compute-bound", linear, 1, 1, 0},
		{"sure, up to the knee", knee, 1, 0.9, 7},
		{"a crowd at the knee", knee, 8, 0.9, 0},
		{"half a crowd", knee, 4, 0.9, 4},
	} {
		d := drafts{most: 8, costs: new(costs)}
		for rows := 1; rows <= 20; rows++ {
			d.costs.observe(rows, c.cost(rows))
		}
		var guesses []draft.Guess
		for range 8 {
			guesses = append(guesses, draft.Guess{Odds: c.odds})
		}
		d.expected = float64(c.rows)
		if n := d.paying(guesses, 0, c.rows); n != c.want {
			t.Errorf("%s: %d guesses, want %d", c.name, n, c.want)
		}
	}
	d := drafts{most: 8, costs: new(costs), expected: 1}
	behind := []draft.Guess{{Odds: 0.3}, {Odds: 1}, {Odds: 1}}
	if n := d.paying(behind, 1, 1); n != 2 {
		t.Errorf("nothing is measured, and odds of 0.3 give %d guesses", n)
	}
	for rows := range 20 {
		d.costs.observe(rows+1, knee(rows+1)+0.4*float64(rows))
	}
	d.expected = 1
	if n := d.paying(behind, 1, 1); n != 0 {
		t.Errorf("behind a token in flight of odds 0.3: %d guesses", n)
	}
}

// What a step takes lies between its neighbours; one disturbed step is not
// believed, and what was measured long ago is measured again.
func TestCostsOfRowsThatWereNotMeasured(t *testing.T) {
	var c costs
	if c.of(1) != 1 || c.of(3) <= c.of(2) || c.of(9) > 2 {
		t.Errorf("nothing known: %g, %g, %g", c.of(1), c.of(3), c.of(9))
	}
	c.observe(4, 2)
	c.observe(8, 3)
	for rows, want := range map[int]float64{1: 2, 4: 2, 6: 2.5, 8: 3, 16: 3 * (1 + firstRowCost)} {
		if got := c.of(rows); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d rows: %g, want %g", rows, got, want)
		}
	}
	c.observe(8, 1000)
	if c.of(8) > 3*(1+smoothing*outlier) {
		t.Errorf("one disturbed step: %g", c.of(8))
	}
	for range stale {
		c.observe(4, 2)
	}
	if got := c.of(8); got > 2.5 {
		t.Errorf("long ago: %g", got)
	}
	if c.of(2*maxCostRows) != 2*c.of(maxCostRows) {
		t.Error("beyond the table")
	}
}

// modelAnswer asks for everything that an answer has.
func modelAnswers(t *testing.T, e *Engine, reqs []*llm.Request) [][]answer {
	t.Helper()
	got := make([][]answer, len(reqs))
	var wait sync.WaitGroup
	for i, req := range reqs {
		s := submit(t, e, req)
		wait.Go(func() { got[i] = receive(t, s, req.N) })
	}
	wait.Wait()
	return got
}

// TestModelAnswersDoNotDependOnGuesses: a real model's tokens, log-probabilities
// and finishes, to the bit, with good guesses and with perverse ones.
func TestModelAnswersDoNotDependOnGuesses(t *testing.T) {
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			skipSlow(t, d.scale)
			bc := backend.Config{MaxRows: 48, MaxSeqs: 6, MaxContext: 512, Pages: 96}
			reqs := modelRequests(goldenCases(t), min(d.scale, 2))
			for i, req := range reqs {
				req.Sampling.Logprobs, req.Sampling.TopLogprobs = true, i%3
				if i%4 == 1 {
					req.Sampling.MinTokens = 15
					req.Sampling.StopIDs = []int32{5, 6, 7, 8, 9, 10}
				}
				if i%2 == 0 { // what is quoted has been there before
					req.Prompt.IDs = slices.Concat(req.Prompt.IDs, req.Prompt.IDs)
				}
			}
			e := tinyEngine(t, d.open, bc, nil)
			want := modelAnswers(t, e, reqs)
			settled(t, e)
			texts := make([][]int32, 0, len(reqs))
			for i, req := range reqs {
				for _, a := range want[i] {
					texts = append(texts, slices.Concat(req.Prompt.IDs, a.ids))
				}
			}
			made := uint64(0)
			for name, source := range map[string]func() draft.Source{
				"n-grams": nil,
				"mixed": func() draft.Source {
					made++
					return &seer{texts: texts, right: 0.8, rng: rand.New(rand.NewPCG(made, 1))}
				},
			} {
				tight := bc
				tight.Pages = d.tight + 4
				e := tinyEngine(t, d.open, tight, func(c *Config, _ backend.Backend) {
					c.DraftTokens, c.PrefillRows, c.tweak.reckless, c.tweak.guesses = 4, 17, true, source
				})
				got := modelAnswers(t, e, reqs)
				for i := range reqs {
					for k, a := range got[i] {
						if err := sameAnswer(a, want[i][k]); err != nil {
							t.Errorf("%s, request %d, choice %d: %v", name, i, k, err)
						}
					}
				}
				if s := e.Stats(); s.DraftAccepted == 0 || s.DraftAccepted == s.DraftTokens {
					t.Errorf("%s: %d of %d guesses were right", name, s.DraftAccepted, s.DraftTokens)
				} else {
					t.Logf("%s: %d of %d guesses were right; %d preemptions", name, s.DraftAccepted, s.DraftTokens, s.Preemptions)
				}
				settled(t, e)
			}
		})
	}
}

func sameAnswer(a, b answer) error {
	if !slices.Equal(a.ids, b.ids) || a.finish.Reason != b.finish.Reason || a.finish.StopID != b.finish.StopID {
		return fmt.Errorf("%v %s, must be %v %s", a.ids, a.finish.Reason, b.ids, b.finish.Reason)
	}
	if len(a.logprobs) != len(b.logprobs) || len(a.logprobs) != len(a.ids) {
		return fmt.Errorf("%d log-probabilities of %d tokens, must be %d", len(a.logprobs), len(a.ids), len(b.logprobs))
	}
	for i := range a.logprobs {
		x, y := a.logprobs[i], b.logprobs[i]
		if x.TokenLogprob != y.TokenLogprob || x.ID != a.ids[i] || !slices.Equal(x.Top, y.Top) {
			return fmt.Errorf("token %d: %+v, must be %+v", i, x, y)
		}
	}
	return nil
}
