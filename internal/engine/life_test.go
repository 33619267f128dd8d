package engine

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// gate lets a test decide when a step runs.
type gate chan struct{}

func (g gate) forward(int) error { <-g; return nil }

// TestRandomAbortsHurtNobodyElse: clients leave in the queue, in prefill and in
// decode, by context, Close and Stop.
func TestRandomAbortsHurtNobodyElse(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 9))
		e := start(t, newFake(t, small()), func(c *Config) { c.PrefillRows = 8; c.tweak.poison = c.Backend.Pages - 1 })
		var wg sync.WaitGroup
		for i, req := range mixed(r, 32, 100, 40) {
			ctx, cancel := context.WithCancel(context.Background())
			s, err := e.Submit(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			leaves, after, how := i%3 == 0, r.IntN(4), r.IntN(3)
			wg.Go(func() {
				defer cancel()
				if !leaves {
					expect(t, e, req, receive(t, s, req.N))
					return
				}
				for range after {
					s.Recv(context.Background())
				}
				switch how {
				case 0:
					cancel()
				case 1:
					s.Close()
					s.Close()
				case 2:
					for choice := range 2 * req.N {
						s.Stop(choice%req.N, "match")
					}
				}
				finishes := 0
				for {
					deltas, err := s.Recv(context.Background())
					if err == io.EOF {
						break
					}
					for _, d := range deltas {
						if d.Finish != nil {
							finishes++
						}
					}
				}
				if after == 0 && finishes != req.N {
					t.Errorf("%d finishes of %d choices", finishes, req.N)
				}
			})
		}
		wg.Wait()
		settled(t, e)
	}
}

func TestCancelOneOfFifty(t *testing.T) {
	be := newFake(t, small())
	submitted, gone := make(chan struct{}), make(chan struct{})
	be.forward = func(step int) error {
		switch step {
		case 1:
			<-submitted
		case 40: // long before the fourth one's 300 tokens
			<-gone
		}
		return nil
	}
	e := start(t, be, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for i, req := range mixed(rand.New(rand.NewPCG(8, 8)), 50, 60, 40) {
		use := context.Background()
		if i == 3 {
			req.Sampling.MaxTokens, req.Sampling.IgnoreEOS, req.Sampling.StopIDs = 300, true, nil
			use = ctx
		}
		s, err := e.Submit(use, req)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if i != 3 {
				expect(t, e, req, receive(t, s, req.N))
				return
			}
			if _, err := s.Recv(context.Background()); err != nil {
				t.Error(err)
			}
			cancel()
			close(gone)
			for _, a := range receive(t, s, req.N) {
				if a.finish.Reason != llm.FinishAbort || llm.KindOf(a.finish.Err) != llm.Cancelled {
					t.Errorf("the cancelled one ends with %+v", a.finish)
				}
			}
		})
	}
	close(submitted)
	wg.Wait()
	settled(t, e)
}

// TestCancelFreesBeforeTheNextStep: at once, while a step is under way.
func TestCancelFreesBeforeTheNextStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		be := newFake(t, small())
		g := make(gate)
		be.forward = g.forward
		e := start(t, be, func(c *Config) { c.PrefillRows = 4 })
		ctx, cancel := context.WithCancel(context.Background())
		p := greedy(300)
		p.IgnoreEOS = true
		var streams []llm.Stream
		for i := range 10 { // 8 run, 2 wait
			s, err := e.Submit(ctx, newReq(prompt(uint64(i), 40), p))
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		for range 30 {
			g <- struct{}{}
		}
		synctest.Wait()
		if s := e.Stats(); s.Running < 2 || s.Running+s.Waiting != 10 {
			t.Fatalf("before: %+v", s)
		}
		cancel()
		synctest.Wait() // no step has ended
		if s := e.Stats(); s.Running != 0 || s.Waiting != 0 || s.PagesFree != s.PagesTotal {
			t.Errorf("after cancel: %+v", s)
		}
		for _, s := range streams {
			if a := receive(t, s, 1)[0]; a.finish.Reason != llm.FinishAbort {
				t.Errorf("finish %+v", a.finish)
			}
		}
		close(g)
		settled(t, e)
	})
}

func TestStalledStepIsSeenAndWaitingRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		be := newFake(t, small())
		g := make(gate)
		be.forward = g.forward
		e := start(t, be, nil)
		var streams []llm.Stream
		for i := range 10 {
			streams = append(streams, submit(t, e, newReq(prompt(uint64(i), 10), greedy(5))))
			synctest.Wait() // the first one's step begins
		}
		time.Sleep(29 * time.Second)
		if e.Stats().Stalled {
			t.Error("stalled before the limit")
		}
		time.Sleep(10 * time.Second)
		if !e.Stats().Stalled {
			t.Error("not seen as stalled")
		}
		_, err := e.Submit(t.Context(), newReq([]int32{1}, greedy(1)))
		if llm.KindOf(err) != llm.Overloaded {
			t.Errorf("Submit to a stalled engine: %v", err)
		}
		waited := 0
		for _, s := range streams[1:] {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			deltas, err := s.Recv(ctx)
			cancel()
			if err == nil && deltas[0].Finish != nil && deltas[0].Finish.Reason == llm.FinishError {
				waited++
			}
		}
		if waited != 9 { // the first one runs
			t.Errorf("%d of 9 waiting requests ended", waited)
		}
		close(g)
		receive(t, streams[0], 1)
		synctest.Wait()
		if e.Stats().Stalled {
			t.Error("still stalled")
		}
		settled(t, e)
	})
}

func TestCloseEndsEveryStream(t *testing.T) {
	e := start(t, newFake(t, small()), nil)
	var streams []llm.Stream
	reqs := mixed(rand.New(rand.NewPCG(2, 2)), 20, 100, 300)
	for _, req := range reqs {
		req.Sampling.IgnoreEOS, req.Sampling.MaxTokens, req.Sampling.StopIDs = true, 350, nil
		streams = append(streams, submit(t, e, req))
	}
	settled(t, e)
	for i, s := range streams {
		for _, a := range receive(t, s, reqs[i].N) {
			if a.finish.Reason != llm.FinishLength && (a.finish.Reason != llm.FinishAbort || llm.KindOf(a.finish.Err) != llm.Stopping) {
				t.Errorf("finish %+v", a.finish)
			}
		}
	}
	if _, err := e.Submit(t.Context(), reqs[0]); llm.KindOf(err) != llm.Stopping {
		t.Errorf("Submit after Close: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	be := newFake(t, small())
	g := make(gate)
	be.forward = g.forward
	e := start(t, be, func(c *Config) { c.MaxWaiting = 3 })
	var streams []llm.Stream
	refused := 0
	reqs := mixed(rand.New(rand.NewPCG(2, 2)), 22, 20, 10)
	for _, req := range reqs {
		s, err := e.Submit(t.Context(), req)
		if err != nil {
			var le *llm.Error
			if !errors.As(err, &le) || le.Kind != llm.Overloaded || le.RetryAfter < time.Second {
				t.Errorf("refused with %v", err)
			}
			refused++
			continue
		}
		streams = append(streams, s)
	}
	if refused != 11 {
		t.Errorf("%d refused of 22, want 11", refused)
	}
	close(g)
	for i, s := range streams {
		expect(t, e, reqs[i], receive(t, s, reqs[i].N))
	}
	settled(t, e)
}

// TestStopDropsWhatCameAfter: also a finish that was not received yet.
func TestStopDropsWhatCameAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		be := newFake(t, small())
		g := make(gate)
		be.forward = g.forward
		e := start(t, be, nil)
		req := newReq(prompt(1, 10), greedy(8))
		req.N, req.Sampling.IgnoreEOS = 2, true
		req.Sampling.Temperature, req.Sampling.Seed = 1, 5
		s := submit(t, e, req)
		for range 6 {
			g <- struct{}{}
		}
		synctest.Wait()
		first, err := s.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var ids [2][]int32
		for _, d := range first {
			ids[d.Choice] = append(ids[d.Choice], d.IDs...)
		}
		g <- struct{}{}
		synctest.Wait() // more tokens lie in the mailbox
		s.Stop(1, "END")
		s.Stop(1, "again")
		s.Stop(7, "nobody")
		synctest.Wait()
		if got := e.Stats().Running; got != 1 {
			t.Errorf("%d choices run after Stop", got)
		}
		close(g)
		rest := receive(t, s, 2)
		if f := rest[1].finish; f.Reason != llm.FinishStop || f.StopText != "again" && f.StopText != "END" || f.StopID != -1 || len(rest[1].ids) != 0 {
			t.Errorf("stopped choice: %+v", rest[1])
		}
		s.Stop(0, "late")
		rest[0].ids = append(ids[0], rest[0].ids...)
		expect(t, e, req, rest[:1])

		// A finish that waits in the mailbox gives way to an earlier match.
		req = newReq(prompt(2, 10), greedy(3))
		s = submit(t, e, req)
		synctest.Wait()
		s.Stop(0, "X")
		if a := receive(t, s, 1)[0]; a.finish.StopText != "X" || len(a.ids) != 0 {
			t.Errorf("%+v %v", a.finish, a.ids)
		}
		settled(t, e)
	})
}

func TestBadRequestsAreRefused(t *testing.T) {
	e := start(t, newFake(t, small()), nil)
	edit := func(f func(*llm.Request)) *llm.Request {
		r := newReq(prompt(1, 10), greedy(10))
		f(r)
		return r
	}
	nan := math.NaN()
	for name, c := range map[string]struct {
		req  *llm.Request
		kind llm.Kind
	}{
		"no prompt":        {newReq(nil, greedy(1)), llm.Invalid},
		"text":             {edit(func(r *llm.Request) { r.Prompt.Text = "x" }), llm.Unsupported},
		"id too large":     {newReq([]int32{fakeVocab}, greedy(1)), llm.Invalid},
		"id negative":      {newReq([]int32{-1}, greedy(1)), llm.Invalid},
		"n = 0":            {edit(func(r *llm.Request) { r.N = 0 }), llm.Invalid},
		"n = 1e9":          {edit(func(r *llm.Request) { r.N = 1e9 }), llm.Invalid},
		"temperature NaN":  {edit(func(r *llm.Request) { r.Sampling.Temperature = nan }), llm.Invalid},
		"temperature Inf":  {edit(func(r *llm.Request) { r.Sampling.Temperature = math.Inf(1) }), llm.Invalid},
		"top_p 0":          {edit(func(r *llm.Request) { r.Sampling.TopP = 0 }), llm.Invalid},
		"min_p NaN":        {edit(func(r *llm.Request) { r.Sampling.MinP = nan }), llm.Invalid},
		"repetition 0":     {edit(func(r *llm.Request) { r.Sampling.RepetitionPenalty = 0 }), llm.Invalid},
		"presence NaN":     {edit(func(r *llm.Request) { r.Sampling.PresencePenalty = nan }), llm.Invalid},
		"max_tokens 0":     {edit(func(r *llm.Request) { r.Sampling.MaxTokens = 0 }), llm.Invalid},
		"min over max":     {edit(func(r *llm.Request) { r.Sampling.MinTokens = 11 }), llm.Invalid},
		"bias NaN":         {edit(func(r *llm.Request) { r.Sampling.LogitBias = map[int32]float32{1: float32(nan)} }), llm.Invalid},
		"bias out":         {edit(func(r *llm.Request) { r.Sampling.LogitBias = map[int32]float32{999: 1} }), llm.Invalid},
		"stop id out":      {edit(func(r *llm.Request) { r.Sampling.StopIDs = []int32{999} }), llm.Invalid},
		"top_logprobs 21":  {edit(func(r *llm.Request) { r.Sampling.TopLogprobs = 21 }), llm.Invalid},
		"prompt too long":  {newReq(prompt(1, 512), greedy(1)), llm.TooLong},
		"max_tokens large": {newReq(prompt(1, 10), greedy(math.MaxInt)), llm.Invalid},
	} {
		if _, err := e.Submit(t.Context(), c.req); err == nil || llm.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	settled(t, e)

	cfg := small()
	cfg.Pages = 4
	e = start(t, newFake(t, cfg), nil)
	_, err := e.Submit(t.Context(), newReq(prompt(1, 100), greedy(29)))
	var le *llm.Error
	if !errors.As(err, &le) || le.Kind != llm.TooLong || le.Code != "context_length_exceeded" {
		t.Errorf("over the pool: %v", err)
	}
	req := newReq(prompt(1, 100), greedy(28))
	expect(t, e, req, ask(t, e, req))
	settled(t, e)
}

func TestContextEndsAnAnswer(t *testing.T) {
	e := start(t, newFake(t, small()), nil)
	req := newReq(prompt(1, 500), greedy(1000))
	req.Sampling.IgnoreEOS = true
	got := ask(t, e, req)
	expect(t, e, req, got)
	if len(got[0].ids) != 12 {
		t.Errorf("%d tokens behind a prompt of 500 in a context of 512", len(got[0].ids))
	}
	settled(t, e)
}

func TestFinishNamesTheStopID(t *testing.T) {
	e := start(t, newFake(t, small()), nil)
	p := greedy(400)
	for i := range int32(60) {
		p.StopIDs = append(p.StopIDs, 100+i)
	}
	for seed := range uint64(20) {
		req := newReq(prompt(seed, 10), p)
		req.Sampling.MinTokens = int(seed % 4)
		a := ask(t, e, req)
		expect(t, e, req, a)
		if last := a[0].ids[len(a[0].ids)-1]; a[0].finish.StopID != last {
			t.Errorf("stop id %d, last token %d", a[0].finish.StopID, last)
		}
		again := ask(t, e, newReq(append(prompt(seed, 10), prompt(99, 60)...), p))
		if hit := ask(t, e, newReq(append(prompt(seed, 10), prompt(99, 60)...), p)); hit[0].finish.Cached != 64 || !slices.Equal(hit[0].ids, again[0].ids) {
			t.Errorf("cached %d of 70", hit[0].finish.Cached)
		}
	}
	settled(t, e)
}

func TestLogprobsComeOnePerToken(t *testing.T) {
	e := start(t, newFake(t, small()), nil)
	req := newReq(prompt(1, 10), greedy(30))
	req.Sampling.Logprobs = true
	a := ask(t, e, req)[0]
	if len(a.logprobs) != len(a.ids) {
		t.Fatalf("%d log-probabilities for %d tokens", len(a.logprobs), len(a.ids))
	}
	for i, lp := range a.logprobs {
		if lp.ID != a.ids[i] || lp.Logprob != -float32(lp.ID) {
			t.Errorf("token %d: %+v", a.ids[i], lp)
		}
	}
	settled(t, e)
}

// BenchmarkDecodeStep is one token of 16 sequences; allocations are the loop's,
// the runner's and the streams'.
func BenchmarkDecodeStep(b *testing.B) {
	cfg := backend.Config{MaxRows: 64, MaxSeqs: 16, MaxContext: 1 << 20, Pages: 1 << 17}
	be := newFake(b, cfg)
	be.quiet = true
	e := start(b, be, nil)
	p := greedy(1 << 19)
	p.IgnoreEOS = true
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	streams := make([]llm.Stream, 16)
	for i := range streams {
		streams[i] = submit(b, e, newReq(prompt(uint64(i), 8), p))
	}
	for _, s := range streams[1:] {
		wg.Go(func() {
			for {
				if _, err := s.Recv(ctx); err != nil {
					return
				}
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for got := 0; got < b.N; {
		deltas, err := streams[0].Recv(ctx)
		if err != nil {
			b.Fatal(err)
		}
		for _, d := range deltas {
			got += len(d.IDs)
		}
	}
	b.StopTimer()
	cancel()
	wg.Wait()
}

// TestPanicInTheLoopFailsRequestsNotTheProcess: the engine goes on, empty.
func TestPanicInTheLoopFailsRequestsNotTheProcess(t *testing.T) {
	for _, at := range []uint64{1, 2, 5, 30} {
		be, submitted := newFake(t, small()), make(chan struct{})
		be.holdUntil(submitted)
		e := start(t, be, func(c *Config) {
			c.tweak.landed = func(steps uint64) {
				if steps == at {
					panic("broken invariant")
				}
			}
		})
		reqs := mixed(rand.New(rand.NewPCG(1, 2)), 20, 60, 50)
		var wg sync.WaitGroup
		failed := make(chan struct{}, 100)
		for _, req := range reqs {
			s := submit(t, e, req)
			wg.Go(func() {
				for i, a := range receive(t, s, req.N) {
					ids, reason := want(req.Prompt.IDs, req.Sampling, i, e.cfg.Backend.MaxContext)
					if a.finish.Reason == llm.FinishError {
						failed <- struct{}{}
						ids, reason = ids[:len(a.ids)], llm.FinishError
					}
					if !slices.Equal(a.ids, ids) || a.finish.Reason != reason {
						t.Errorf("got %v %s want %v %s", a.ids, a.finish.Reason, ids, reason)
					}
				}
			})
		}
		close(submitted)
		wg.Wait()
		if len(failed) == 0 {
			t.Errorf("panic at step %d failed nobody", at)
		}
		crowd(t, e, reqs)
		settled(t, e)
	}
}

// TestPromptsDoNotHoldUpDecoding: prompt rows add at most MaxPrefillStall to a
// step that decodes, once a step with enough of them was measured.
func TestPromptsDoNotHoldUpDecoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := backend.Config{MaxRows: 512, MaxSeqs: 8, MaxContext: 2048, Pages: 512}
		be := newFake(t, cfg)
		var mixedRows []int
		be.onBatch = func(b *backend.Batch) {
			time.Sleep(time.Duration(50+b.Rows) * time.Millisecond)
			decodes := 0
			for _, q := range b.Seqs {
				if q.Count == 1 {
					decodes++
				}
			}
			if decodes > 0 && b.Rows > decodes {
				mixedRows = append(mixedRows, b.Rows)
			}
		}
		e := start(t, be, nil)
		p := greedy(100)
		p.IgnoreEOS = true
		first := submit(t, e, newReq(prompt(1, 4), p))
		if _, err := first.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
		long := newReq(prompt(2, 1500), greedy(3))
		expect(t, e, long, ask(t, e, long))
		receive(t, first, 1)
		if len(mixedRows) < 15 || mixedRows[0] > 40 || slices.Max(mixedRows) > 110 || slices.Max(mixedRows) < 80 {
			t.Errorf("rows of the steps that decode and prefill at 1 ms a row: %v", mixedRows)
		}
		settled(t, e)
	})
}

func TestPanicInBuildingAGuideIsAnError(t *testing.T) {
	e := start(t, newFake(t, small()), nil)
	req := newReq(prompt(1, 4), greedy(4))
	req.Guide = func(int) llm.Guide { panic("guide") }
	if _, err := e.Submit(t.Context(), req); llm.KindOf(err) != llm.Internal || err == nil {
		t.Errorf("%v", err)
	}
	settled(t, e)
}

func TestNoPrefixCacheSharesNothing(t *testing.T) {
	for _, off := range []bool{false, true} {
		e := start(t, newFake(t, small()), func(c *Config) { c.NoPrefixCache = off })
		req := newReq(prompt(1, 100), greedy(4))
		req.N = 2 // choices of one request share their prompt all the same
		for i, hits := range []int{0, 96} {
			if off {
				hits = 0
			}
			a := ask(t, e, req)
			expect(t, e, req, a)
			if got := a[1].finish.Cached; got != hits {
				t.Errorf("off=%v: request %d took %d tokens from the cache, want %d", off, i, got, hits)
			}
		}
		if got, want := e.Stats().PrefillTokens, map[bool]uint64{false: 101 + 4 + 1, true: 202}[off]; got != want {
			t.Errorf("off=%v: %d prompt rows, want %d", off, got, want)
		}
		settled(t, e)
	}
}

// TestTenantsAndSaltsDoNotShare: a prefix is found only in its own scope.
func TestTenantsAndSaltsDoNotShare(t *testing.T) {
	e := start(t, newFake(t, small()), nil)
	for i, c := range []struct {
		tenant, salt string
		cached       int
	}{{"a", "", 0}, {"a", "", 64}, {"b", "", 0}, {"a", "x", 0}, {"a", "x", 64}, {"", "a", 0}} {
		req := newReq(prompt(1, 70), greedy(2))
		req.Tenant, req.Salt = c.tenant, c.salt
		if got := ask(t, e, req)[0].finish.Cached; got != c.cached {
			t.Errorf("request %d of %q, %q: %d cached, want %d", i, c.tenant, c.salt, got, c.cached)
		}
	}
	settled(t, e)
}
