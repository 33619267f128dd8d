package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// small is a backend of 8 slots and 64 rows a step.
func small() backend.Config {
	return backend.Config{MaxRows: 64, MaxSeqs: 8, MaxContext: 512, Pages: 128}
}

func start(t testing.TB, be *fakeBackend, tweak func(*Config)) *Engine {
	t.Helper()
	return startOn(t, be, be.cfg, tweak)
}

func startOn(t testing.TB, be backend.Backend, size backend.Config, tweak func(*Config)) *Engine {
	t.Helper()
	cfg := Config{Backend: size, Model: "fake", EOS: []int32{fakeEOS}, Log: slog.New(slog.DiscardHandler)}
	if tweak != nil {
		tweak(&cfg)
	}
	e, err := New(cfg, be)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// answer is one choice as received.
type answer struct {
	ids      []int32
	finish   *llm.Finish
	logprobs []llm.Logprobs
}

// receive reads a stream to its end and checks the law of one finish a choice.
func receive(t testing.TB, s llm.Stream, n int) []answer {
	t.Helper()
	got := make([]answer, n)
	for {
		deltas, err := s.Recv(context.Background())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Error(err)
			return got
		}
		for _, d := range deltas {
			a := &got[d.Choice]
			if a.finish != nil {
				t.Errorf("choice %d goes on after its finish", d.Choice)
			}
			a.ids = append(a.ids, d.IDs...)
			a.logprobs = append(a.logprobs, d.Logprobs...)
			if d.Finish != nil {
				f := *d.Finish
				a.finish = &f
			}
		}
	}
	for i := range got {
		if got[i].finish == nil {
			t.Errorf("choice %d has no finish", i)
			got[i].finish = &llm.Finish{}
		}
	}
	return got
}

func submit(t testing.TB, e *Engine, req *llm.Request) llm.Stream {
	t.Helper()
	s, err := e.Submit(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(t testing.TB, e *Engine, req *llm.Request) []answer {
	t.Helper()
	return receive(t, submit(t, e, req), req.N)
}

func greedy(maxTokens int) llm.SamplingParams {
	p := llm.DefaultSampling()
	p.Temperature, p.MaxTokens = 0, maxTokens
	return p
}

func newReq(prompt []int32, p llm.SamplingParams) *llm.Request {
	return &llm.Request{Prompt: llm.Prompt{IDs: prompt}, N: 1, Sampling: p}
}

func prompt(seed uint64, n int) []int32 {
	r := rand.New(rand.NewPCG(seed, 1))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = r.Int32N(fakeVocab)
	}
	return ids
}

// expect compares a request's answers with the model run by hand.
func expect(t testing.TB, e *Engine, req *llm.Request, got []answer) {
	t.Helper()
	for i, a := range got {
		ids, reason := want(req.Prompt.IDs, req.Sampling, i, e.cfg.Backend.MaxContext)
		if !slices.Equal(a.ids, ids) || a.finish.Reason != reason {
			t.Errorf("prompt of %d, choice %d:\n got %v %+v\nwant %v %s", len(req.Prompt.IDs), i, a.ids, *a.finish, ids, reason)
		}
	}
}

// settled waits until no step is under way and checks that no page is lost.
func settled(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.sched.Check(); err != nil {
		t.Error(err)
	}
	s := e.Stats()
	if s.Running != 0 || s.Waiting != 0 || s.PagesFree != s.PagesTotal || e.live.Load() != 0 || len(e.requests) != 0 {
		t.Errorf("after all requests: %+v, %d live", s, e.live.Load())
	}
}

// mixed makes requests of all kinds: lengths, temperatures, penalties, n, shared prefixes.
func mixed(r *rand.Rand, count, maxPrompt, maxTokens int) []*llm.Request {
	var reqs []*llm.Request
	for i := range count {
		ids := prompt(uint64(r.IntN(4)), 1+r.IntN(maxPrompt)) // four seeds: prefixes are shared
		p := greedy(1 + r.IntN(maxTokens))
		if i%2 == 1 {
			p.Temperature, p.Seed = 0.8, r.Uint64()
		}
		if i%3 == 1 {
			p.PresencePenalty = 1
		}
		if i%5 == 2 {
			p.IgnoreEOS = true
		}
		if i%7 == 3 {
			p.MinTokens = min(5, p.MaxTokens)
			p.StopIDs = []int32{1, 2, 3, 4, 5, 6, 9, 11, 13}
		}
		req := newReq(ids, p)
		if i%4 == 3 {
			req.N = 4
		}
		reqs = append(reqs, req)
	}
	return reqs
}

// holdUntil makes a backend wait in its first step until the channel is closed,
// so that a test's requests run together on the slowest machine too.
func (f *fakeBackend) holdUntil(submitted chan struct{}) {
	f.forward = func(int) error { <-submitted; return nil }
}

// crowd runs all requests at once and checks every answer.
func crowd(t testing.TB, e *Engine, reqs []*llm.Request) {
	t.Helper()
	crowdThen(t, e, reqs, func() {})
}

// crowdThen calls submitted when all requests are in the engine's hands.
func crowdThen(t testing.TB, e *Engine, reqs []*llm.Request, submitted func()) {
	t.Helper()
	var wg sync.WaitGroup
	for _, req := range reqs {
		s := submit(t, e, req)
		wg.Go(func() { expect(t, e, req, receive(t, s, req.N)) })
	}
	submitted()
	wg.Wait()
}

func TestAnswerDoesNotDependOnCompany(t *testing.T) {
	for name, tweak := range map[string]func(*Config){
		"overlap": nil,
		"serial":  func(c *Config) { c.tweak.overlap = 1 },
		"chunk 1": func(c *Config) { c.PrefillRows = 1 },
		"chunk 7": func(c *Config) { c.PrefillRows = 7 },
		"shuffled": func(c *Config) {
			c.tweak.pageOrder = rand.New(rand.NewPCG(1, 2)).Perm(c.Backend.Pages - 1)
			c.tweak.poison = c.Backend.Pages - 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, newFake(t, small()), tweak)
			reqs := mixed(rand.New(rand.NewPCG(3, 4)), 40, 150, 60)
			for _, req := range reqs[:8] {
				expect(t, e, req, ask(t, e, req)) // alone
			}
			crowd(t, e, reqs)
			for _, req := range reqs[:8] {
				expect(t, e, req, ask(t, e, req)) // after prefix hits
			}
			if e.Stats().PrefixHits == 0 {
				t.Error("no prefix was found in the cache")
			}
			settled(t, e)
		})
	}
}

func TestPreemptionChangesNothingAndIsBounded(t *testing.T) {
	for _, poison := range []int{0, 12} {
		cfg := small()
		cfg.Pages = 13 // eight sequences of 6 pages want 48
		be := newFake(t, cfg)
		submitted := make(chan struct{})
		be.holdUntil(submitted)
		e := start(t, be, func(c *Config) { c.tweak.poison = poison })
		var reqs []*llm.Request
		for i := range 24 {
			p := greedy(90)
			p.IgnoreEOS = true
			if i%2 == 0 {
				p.Temperature, p.Seed, p.PresencePenalty = 1, uint64(i), 1
			}
			reqs = append(reqs, newReq(prompt(uint64(100+i), 70+i), p))
		}
		reqs[5].N = 3
		crowdThen(t, e, reqs, func() { close(submitted) })
		s := e.Stats()
		if s.Preemptions == 0 {
			t.Error("nothing was preempted: the pool is too large for this test")
		}
		if s.Preemptions > 26*3 {
			t.Errorf("%d preemptions of 26 choices", s.Preemptions)
		}
		if s.Steps > s.OutputTokens+s.PrefillTokens/32+100 {
			t.Errorf("%d steps for %d tokens", s.Steps, s.OutputTokens)
		}
		settled(t, e)
	}
}

func TestFourChoicesComputeTheirPromptOnce(t *testing.T) {
	for _, n := range []int{1, 31, 32, 33, 65, 200} {
		be := newFake(t, small())
		e := start(t, be, nil)
		req := newReq(prompt(5, n), greedy(20))
		req.N = 4
		req.Sampling.Temperature, req.Sampling.Seed = 1, 3
		expect(t, e, req, ask(t, e, req))
		if got := e.Stats().PrefillTokens; got != uint64(n+3) {
			t.Errorf("prompt of %d: %d rows for 4 choices, want %d", n, got, n+3)
		}
		req.Sampling.MaxTokens, req.Prompt.IDs = 1, prompt(6, n) // the first ends as its prompt does
		expect(t, e, req, ask(t, e, req))
		if got := e.Stats().PrefillTokens; got != uint64(2*n+6) {
			t.Errorf("prompt of %d, one token: %d rows, want %d", n, got-uint64(n+3), n+3)
		}
		settled(t, e)
	}
}

func TestSixteenStreamsShareSteps(t *testing.T) {
	cfg := backend.Config{MaxRows: 256, MaxSeqs: 16, MaxContext: 512, Pages: 512}
	be := newFake(t, cfg)
	submitted := make(chan struct{})
	be.holdUntil(submitted)
	e := start(t, be, nil)
	var reqs []*llm.Request
	for i := range 16 {
		p := greedy(200)
		p.IgnoreEOS = true
		reqs = append(reqs, newReq(prompt(uint64(i), 20), p))
	}
	crowdThen(t, e, reqs, func() { close(submitted) })
	settled(t, e)
	sum := 0
	for _, rows := range be.decodes {
		sum += rows
	}
	if mean := float64(sum) / float64(len(be.decodes)); mean < 12 {
		t.Errorf("%.1f rows a decode step", mean)
	}
}

func TestShortRequestOvertakesLongOne(t *testing.T) {
	be := newFake(t, small())
	asked, answered := make(chan struct{}), make(chan struct{})
	be.forward = func(step int) error {
		switch step { // the long one is in its 5th step when the short one comes, and before its 100th that is done
		case 5:
			<-asked
		case 100:
			select {
			case <-answered:
			case <-time.After(20 * time.Second):
				t.Error("the short request waits for the long one")
			}
		}
		return nil
	}
	e := start(t, be, nil)
	p := greedy(400)
	p.IgnoreEOS = true
	long := newReq(prompt(1, 100), p)
	stream := submit(t, e, long)
	short := newReq(prompt(2, 10), greedy(5))
	s := submit(t, e, short)
	close(asked)
	expect(t, e, short, receive(t, s, 1))
	close(answered)
	expect(t, e, long, receive(t, stream, 1))
	settled(t, e)
}

func TestStepErrorEndsOnlyThatStepsRequests(t *testing.T) {
	for k := 1; k <= 200; k += 1 {
		be := newFake(t, small())
		fault, submitted := errors.New("injected"), make(chan struct{})
		be.forward = func(step int) error {
			<-submitted
			if step != k {
				return nil
			}
			if k%3 == 0 {
				panic(fault)
			}
			return fault
		}
		e := start(t, be, func(c *Config) { c.PrefillRows = 16 })
		failed := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, req := range mixed(rand.New(rand.NewPCG(uint64(k), 4)), 12, 60, 30) {
			s := submit(t, e, req)
			wg.Go(func() {
				for i, a := range receive(t, s, req.N) {
					ids, reason := want(req.Prompt.IDs, req.Sampling, i, e.cfg.Backend.MaxContext)
					if a.finish.Reason == llm.FinishError {
						mu.Lock()
						failed++
						mu.Unlock()
						ids, reason = ids[:len(a.ids)], llm.FinishError
						if a.finish.Err == nil || llm.KindOf(a.finish.Err) != llm.Internal {
							t.Errorf("finish has the error %v", a.finish.Err)
						}
					}
					if !slices.Equal(a.ids, ids) || a.finish.Reason != reason {
						t.Errorf("fault at %d: got %v %s want %v %s", k, a.ids, a.finish.Reason, ids, reason)
					}
				}
			})
		}
		close(submitted)
		wg.Wait()
		settled(t, e)
		if be.steps >= k && failed == 0 && e.Stats().Steps >= uint64(k) && k < 20 {
			t.Errorf("fault at %d failed nobody", k)
		}
		if failed > 8 {
			t.Errorf("fault at %d failed %d choices; a step has 8", k, failed)
		}
	}
}

func TestRowErrorFailsThatRequestOnly(t *testing.T) {
	be := newFake(t, small())
	be.rowErr = func(s backend.Slot) error {
		if s.Params.Seed == 13 {
			return fmt.Errorf("logits hold a NaN")
		}
		return nil
	}
	e := start(t, be, nil)
	bad := newReq(prompt(1, 40), greedy(10))
	bad.Sampling.Seed = 13
	s := submit(t, e, bad)
	crowd(t, e, mixed(rand.New(rand.NewPCG(1, 1)), 10, 50, 20))
	if a := receive(t, s, 1)[0]; a.finish.Reason != llm.FinishError {
		t.Errorf("finish is %+v", *a.finish)
	}
	settled(t, e)
}
