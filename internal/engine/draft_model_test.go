package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/draft"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// whims are random choices in place of what pays.
func whims(seed uint64) func(int) int {
	rng := rand.New(rand.NewPCG(seed, 5))
	return rng.IntN
}

// withDraft gives an engine's configuration a draft model that guesses at random
// times; sources of guesses beside it know nothing.
func withDraft(c *Config, be *fakeBackend, seed uint64) {
	c.Draft = &DraftModel{Backend: be, Config: be.cfg}
	c.DraftTokens, c.tweak.reckless, c.tweak.whim = 5, true, whims(seed)
	c.tweak.guesses = func() draft.Source { return silent{} }
}

// silent is a source that never guesses.
type silent struct{}

func (silent) Learn([]int32)                                {}
func (silent) Guess(dst []draft.Guess, _ int) []draft.Guess { return dst }

// plain takes from requests what a draft model does not see.
func plain(reqs []*llm.Request) []*llm.Request {
	for _, req := range reqs {
		req.Sampling.PresencePenalty, req.Sampling.MinTokens = 0, 0
	}
	return reqs
}

// Law: a draft model computes what it guesses from, and nothing else: as the model's
// own twin each of its guesses is right, at any temperature, whenever it guesses,
// computes prompts and catches up; in chunks, with forks, prefix hits, stop ids, and
// while pages run out and are handed on.
func TestATwinAsDraftModelIsAlwaysRight(t *testing.T) {
	for seed := range uint64(6) {
		for _, pages := range []int{128, 14} {
			t.Run(fmt.Sprintf("%d pages, %d", pages, seed), func(t *testing.T) {
				cfg := small()
				cfg.Pages, cfg.MaxLogits = pages, 30
				be, twin := newFake(t, cfg), newFake(t, cfg)
				submitted := make(chan struct{})
				be.holdUntil(submitted)
				reqs := plain(mixed(rand.New(rand.NewPCG(seed, 4)), 60, 150, 80))
				e := start(t, be, func(c *Config) {
					withDraft(c, twin, seed)
					c.PrefillRows = 10 + int(seed)*7
					if seed%2 == 0 {
						c.tweak.poison = pages - 1
					}
				})
				crowdThen(t, e, reqs, func() { close(submitted) })
				for _, req := range reqs[:10] {
					expect(t, e, req, ask(t, e, req))
				}
				s := e.Stats()
				if s.DraftTokens < 30 || s.DraftAccepted != s.DraftTokens { // how many hangs on who comes first
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

var errBroken = errors.New("broken")

// liar is a fake of another mind: what it samples is mostly wrong, and sometimes no
// token at all.
func liar(t *testing.T, cfg backend.Config) *fakeBackend {
	f, rng := newFake(t, cfg), rand.New(rand.NewPCG(1, 2))
	f.lie = func(id int32) int32 {
		if rng.IntN(3) == 0 {
			return id
		}
		return rng.Int32N(fakeVocab)
	}
	return f
}

// Law: whatever the draft model says, every choice gets what it gets alone. Guided
// choices, cancelled ones, quotations and penalties are among them.
func TestADraftModelChangesNoAnswer(t *testing.T) {
	for seed := range uint64(4) {
		for _, pages := range []int{128, 14} {
			t.Run(fmt.Sprintf("%d pages, %d", pages, seed), func(t *testing.T) {
				cfg := small()
				cfg.Pages, cfg.MaxLogits = pages, 20
				be := newFake(t, cfg)
				reqs := mixed(rand.New(rand.NewPCG(seed, 8)), 60, 150, 80)
				e := start(t, be, func(c *Config) {
					withDraft(c, liar(t, cfg), seed)
					if seed%2 == 1 {
						c.tweak.guesses = seers(reqs, cfg.MaxContext, 0.7)
					}
				})
				beside := newReq(prompt(9, 40), greedy(60))
				beside.Sampling.IgnoreEOS = true
				beside.Guide = func(int) llm.Guide { return onlyOdd{} }
				var wait sync.WaitGroup
				for i, req := range reqs {
					s := submit(t, e, req)
					if i%10 == 9 {
						s.Close()
						continue
					}
					wait.Go(func() { expect(t, e, req, receive(t, s, req.N)) })
				}
				guided := submit(t, e, beside)
				wait.Go(func() {
					if a := receive(t, guided, 1)[0]; len(a.ids) != 60 || slices.ContainsFunc(a.ids, func(id int32) bool { return id%2 == 0 }) {
						t.Errorf("guided: %v", a.ids)
					}
				})
				wait.Wait()
				if s := e.Stats(); s.DraftAccepted == 0 || s.DraftAccepted > s.DraftTokens*9/10 {
					t.Errorf("%d of %d guesses were right", s.DraftAccepted, s.DraftTokens)
				}
				settled(t, e)
			})
		}
	}
}

// Law: a draft model that fails, in whatever way, is left out from then on, which is
// logged once, and no answer is another.
func TestABrokenDraftModelChangesNoAnswer(t *testing.T) {
	for name, fault := range map[string]func() error{
		"error":      func() error { return errBroken },
		"panic":      func() error { panic("broken") },
		"lost":       func() error { return backend.ErrLost },
		"no numbers": nil, // one row of a step
	} {
		for _, at := range []int{1, 2, 30} {
			t.Run(fmt.Sprintf("%s in step %d", name, at), func(t *testing.T) {
				be, bad := newFake(t, small()), newFake(t, small())
				calls, broke := 0, 0 // the step in which it broke
				harmed := func() bool {
					if broke > 0 && bad.steps > broke {
						t.Error("a draft model that has failed is asked again")
					}
					if calls++; calls == at {
						broke = bad.steps
					}
					return calls == at
				}
				if fault == nil {
					bad.rowErr = func(backend.Slot) error {
						if harmed() {
							return errBroken
						}
						return nil
					}
				} else {
					bad.forward = func(int) error {
						if harmed() {
							return fault()
						}
						return nil
					}
				}
				var log strings.Builder
				e := start(t, be, func(c *Config) {
					withDraft(c, bad, 3)
					c.Log = slog.New(slog.NewTextHandler(&log, nil))
				})
				crowd(t, e, mixed(rand.New(rand.NewPCG(1, 8)), 40, 150, 60))
				settled(t, e)
				if n := strings.Count(log.String(), "draft model failed"); n != 1 || strings.Count(log.String(), "level=ERROR") != 1 {
					t.Errorf("logged %d times:\n%s", n, log.String())
				}
			})
		}
	}
}

// A step of the model that fails takes its sequences, and what the draft model knew:
// the others go on, every guess right.
func TestAFailedStepLeavesTheDraftModelNothingWrong(t *testing.T) {
	be, twin := newFake(t, small()), newFake(t, small())
	fails := 0
	be.forward = func(step int) error {
		if step%37 == 0 {
			fails++
			return errBroken
		}
		return nil
	}
	e := start(t, be, func(c *Config) { withDraft(c, twin, 4) })
	var wait sync.WaitGroup
	for _, req := range plain(mixed(rand.New(rand.NewPCG(2, 8)), 200, 100, 60)) {
		s := submit(t, e, req)
		wait.Go(func() {
			for i, a := range receive(t, s, req.N) {
				ids, _ := want(req.Prompt.IDs, req.Sampling, i, e.cfg.Backend.MaxContext)
				if a.finish.Reason == llm.FinishError {
					ids = ids[:len(a.ids)]
				}
				if !slices.Equal(a.ids, ids) {
					t.Errorf("got %v, want %v", a.ids, ids)
				}
			}
		})
	}
	wait.Wait()
	if s := e.Stats(); fails < 3 || s.DraftTokens < 100 || s.DraftAccepted != s.DraftTokens {
		t.Errorf("%d failed steps; %d of %d guesses were right", fails, s.DraftAccepted, s.DraftTokens)
	}
	settled(t, e)
}

// narrow is a draft model that knows fewer tokens, and fails where it is shown others.
type narrow struct{ *fakeBackend }

const narrowVocab = 200

func (n narrow) Info() backend.Info {
	i := n.fakeBackend.Info()
	i.Vocab = narrowVocab
	return i
}

// A draft model of fewer tokens and of a shorter context is shown neither those that
// it lacks nor positions beyond, and its guesses are of tokens that both have.
func TestADraftModelOfLessIsNotAskedForMore(t *testing.T) {
	cfg := small()
	be, less := newFake(t, cfg), newFake(t, cfg)
	beyond, last := 0, int32(0)
	less.onBatch = func(b *backend.Batch) {
		for r := range b.Rows {
			last = max(last, b.Pos[r])
			if b.Token[r] >= narrowVocab || b.Token[r] < 0 || b.Pos[r] >= 96 {
				beyond++
			}
		}
	}
	be.onBatch = func(b *backend.Batch) {
		for _, s := range b.Samples {
			if s.Drafted && b.Token[b.LogitRows[s.Logits]] >= narrowVocab {
				t.Error("a guess at a token that the draft model does not have")
			}
		}
	}
	e := start(t, be, func(c *Config) {
		withDraft(c, less, 7)
		c.Draft.Backend, c.Draft.Config.MaxContext = narrow{less}, 96
	})
	crowd(t, e, mixed(rand.New(rand.NewPCG(3, 8)), 60, 150, 80))
	if beyond > 0 || last < 90 {
		t.Errorf("%d rows beyond what the draft model has, the last position %d", beyond, last)
	}
	if s := e.Stats(); s.DraftTokens < 100 || e.drafts.model == nil {
		t.Errorf("%d guesses", s.DraftTokens)
	}
	settled(t, e)
}

// A draft model must have the model's pages and slots.
func TestADraftModelOfOtherPagesIsRefused(t *testing.T) {
	for name, change := range map[string]func(*backend.Config){
		"pages": func(c *backend.Config) { c.Pages-- }, "slots": func(c *backend.Config) { c.MaxSeqs++ },
		"rows": func(c *backend.Config) { c.MaxRows = 4 }, "logits": func(c *backend.Config) { c.MaxLogits = 2 },
	} {
		cfg := Config{Backend: small(), Draft: &DraftModel{Backend: newFake(t, small()), Config: small()}}
		change(&cfg.Draft.Config)
		if e, err := New(cfg, newFake(t, small())); err == nil {
			e.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// Law: with a real model as its own draft model the answers are those without, to the
// bit, and every guess is right, at temperatures 0 and above; with forks, prefix hits
// and preemption.
func TestAModelAsItsOwnDraftModelIsAlwaysRight(t *testing.T) {
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			skipSlow(t, d.scale)
			bc := backend.Config{MaxRows: 48, MaxSeqs: 6, MaxContext: 512, Pages: 96}
			reqs := modelRequests(goldenCases(t), min(d.scale, 2))
			for i, req := range reqs {
				p := &req.Sampling
				p.Logprobs, p.TopLogprobs, p.MinTokens = true, i%3, 0
				p.PresencePenalty, p.FrequencyPenalty, p.RepetitionPenalty, p.LogitBias = 0, 0, 1, nil
				if i%2 == 1 {
					p.Temperature, p.Seed = 1, uint64(i)
				}
				switch i % 6 {
				case 1:
					p.TopK, p.Temperature = 3, 3
				case 3:
					p.TopP = 0.9
				case 5:
					p.MinP = 0.05
				}
			}
			e := tinyEngine(t, d.open, bc, nil)
			want := modelAnswers(t, e, reqs)
			settled(t, e)
			tight := bc
			tight.Pages = d.tight + 4
			e = tinyEngine(t, d.open, tight, func(c *Config, _ backend.Backend) {
				c.Draft = &DraftModel{Backend: tinyBackend(t, d.open, tight), Config: tight}
				c.DraftTokens, c.PrefillRows, c.tweak.reckless, c.tweak.whim = 4, 17, true, whims(1)
				c.tweak.guesses = func() draft.Source { return silent{} }
			})
			got := modelAnswers(t, e, reqs)
			for i := range reqs {
				for k, a := range got[i] {
					if err := sameAnswer(a, want[i][k]); err != nil {
						t.Errorf("request %d, choice %d: %v", i, k, err)
					}
				}
			}
			s := e.Stats()
			t.Logf("%d of %d guesses were right; %d preemptions", s.DraftAccepted, s.DraftTokens, s.Preemptions)
			if s.DraftTokens < 50 || s.DraftAccepted != s.DraftTokens {
				t.Errorf("%d of %d guesses were right", s.DraftAccepted, s.DraftTokens)
			}
			settled(t, e)
		})
	}
}

// tinyBackend is tiny-reasoner on a device.
func tinyBackend(t testing.TB, open func(backend.Config) (backend.Backend, error), bc backend.Config) backend.Backend {
	t.Helper()
	src, err := weights.Open(tinyReasoner)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	be, err := open(bc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.Load(src, be, weights.Shard{}); err != nil {
		t.Fatal(err)
	}
	return be
}
