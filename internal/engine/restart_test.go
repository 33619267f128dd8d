package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// mortal is a fake device that is lost in a step of its life, and from then on.
// It must be closed before the next one is made, and not be used after that.
type mortal struct {
	*fakeBackend
	t      testing.TB
	diesAt int // step of its own, from 1; 0: never
	lost   atomic.Bool
	closed atomic.Bool
}

func (m *mortal) Forward() error {
	if m.closed.Load() {
		m.t.Error("a step on a closed device")
	}
	if m.steps+1 == m.diesAt {
		m.lost.Store(true)
	}
	if m.lost.Load() {
		return fmt.Errorf("fake: %w", backend.ErrLost)
	}
	return m.fakeBackend.Forward()
}

func (m *mortal) Close() error {
	if m.closed.Swap(true) {
		m.t.Error("a device is closed twice")
	}
	return nil
}

// lives makes the devices of an engine's life, one after the other.
type lives struct {
	t      testing.TB
	cfg    backend.Config
	diesAt func(life int) int   // of the life counted from 0; nil: never
	before func(life int) error // called by Reopen first, if set
	each   func(*fakeBackend)
	mu     sync.Mutex
	all    []*mortal
}

func (l *lives) next() *mortal {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := &mortal{fakeBackend: newFake(l.t, l.cfg), t: l.t}
	if l.diesAt != nil {
		m.diesAt = l.diesAt(len(l.all))
	}
	if l.each != nil {
		l.each(m.fakeBackend)
	}
	l.all = append(l.all, m)
	return m
}

func (l *lives) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

func (l *lives) start(tweak func(*Config)) *Engine {
	l.t.Helper()
	first := l.next()
	return startOn(l.t, first, l.cfg, func(c *Config) {
		c.Reopen = func() (backend.Backend, error) {
			l.mu.Lock()
			last, life := l.all[len(l.all)-1], len(l.all)
			l.mu.Unlock()
			if !last.closed.Load() {
				l.t.Error("opened anew before the lost device was closed")
			}
			if l.before != nil {
				if err := l.before(life); err != nil {
					return nil, err
				}
			}
			return l.next(), nil
		}
		if tweak != nil {
			tweak(c)
		}
	})
}

// wasLost checks an answer that broke off with the device: a true beginning, a
// reason that says to try again.
func wasLost(t testing.TB, e *Engine, req *llm.Request, choice int, a answer) {
	t.Helper()
	ids, _ := want(req.Prompt.IDs, req.Sampling, choice, e.cfg.Backend.MaxContext)
	var le *llm.Error
	if !errors.As(a.finish.Err, &le) || le.Kind != llm.Stopping || le.Code != "device_lost" || le.RetryAfter == 0 || !errors.Is(le, backend.ErrLost) {
		t.Errorf("ends with %+v", a.finish)
	}
	if len(a.ids) > len(ids) || !slices.Equal(a.ids, ids[:len(a.ids)]) {
		t.Errorf("got %v, want a beginning of %v", a.ids, ids)
	}
}

// TestALostDeviceEndsWhatRunsAndWhatWaitsIsServed: whichever step it dies in.
func TestALostDeviceEndsWhatRunsAndWhatWaitsIsServed(t *testing.T) {
	for _, at := range []int{1, 2, 3, 7, 20} {
		l := &lives{t: t, cfg: small(), diesAt: func(life int) int { return map[int]int{0: at}[life] }}
		submitted := make(chan struct{})
		l.each = func(f *fakeBackend) { f.holdUntil(submitted) }
		e := l.start(nil)
		reqs := mixed(rand.New(rand.NewPCG(3, uint64(at))), 40, 60, 40)
		var wg sync.WaitGroup
		var broken, served atomic.Int64
		for _, req := range reqs {
			s := submit(t, e, req)
			wg.Go(func() {
				for i, a := range receive(t, s, req.N) {
					if a.finish.Reason == llm.FinishError {
						broken.Add(1)
						wasLost(t, e, req, i, a)
						continue
					}
					served.Add(1)
					ids, reason := want(req.Prompt.IDs, req.Sampling, i, e.cfg.Backend.MaxContext)
					if !slices.Equal(a.ids, ids) || a.finish.Reason != reason {
						t.Errorf("got %v %s want %v %s", a.ids, a.finish.Reason, ids, reason)
					}
				}
			})
		}
		close(submitted)
		wg.Wait()
		if broken.Load() == 0 || served.Load() < 20 {
			t.Errorf("lost at step %d: %d choices broke off, %d were served", at, broken.Load(), served.Load())
		}
		if s := e.Stats(); s.Restarts != 1 || s.Restarting || s.Stalled || l.count() != 2 {
			t.Errorf("%d devices, %+v", l.count(), s)
		}
		crowd(t, e, reqs)
		settled(t, e)
	}
}

// TestPagesOfALostDeviceAreForgotten: also cached ones; counters go on.
func TestPagesOfALostDeviceAreForgotten(t *testing.T) {
	l := &lives{t: t, cfg: small()}
	e := l.start(nil)
	req := newReq(prompt(1, 100), greedy(4))
	var before llm.Stats
	for i, cached := range []int{0, 96, -1, 0, 96} {
		if i == 2 {
			before = e.Stats()
			l.all[0].lost.Store(true) // the engine is idle
			wasLost(t, e, req, 0, ask(t, e, req)[0])
			continue
		}
		a := ask(t, e, req)
		expect(t, e, req, a)
		if a[0].finish.Cached != cached {
			t.Errorf("request %d took %d tokens from the cache, want %d", i, a[0].finish.Cached, cached)
		}
	}
	after := e.Stats()
	if after.PromptTokens < before.PromptTokens+200 || after.Steps <= before.Steps || after.PrefixHits < before.PrefixHits+96 {
		t.Errorf("counters before %+v and after %+v", before, after)
	}
	settled(t, e)
}

// TestADeviceThatDoesNotOpen: pauses grow, who waits is served when it opens; and
// where that takes longer than the stall limit, nobody is kept waiting.
func TestADeviceThatDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards both
		var attempts []time.Time
		fails := 3
		set := func(n int) []time.Time {
			mu.Lock()
			defer mu.Unlock()
			defer func() { attempts, fails = nil, n }()
			return attempts
		}
		l := &lives{t: t, cfg: small(), diesAt: func(life int) int { return []int{3, 0}[min(life, 1)] }}
		l.before = func(int) error {
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, time.Now())
			if fails--; fails >= 0 {
				return errors.New("no device")
			}
			return nil
		}
		g := make(gate)
		l.each = func(f *fakeBackend) { f.forward = g.forward }
		e := l.start(func(c *Config) { c.MaxWaiting = 4 })
		req := newReq(prompt(1, 30), greedy(20))
		var streams []llm.Stream
		for range 12 {
			streams = append(streams, submit(t, e, req))
			synctest.Wait()
		}
		g <- struct{}{}
		g <- struct{}{}
		synctest.Wait() // the third step is the device's last
		st := e.Stats()
		broken := 12 - st.Waiting
		if !st.Restarting || st.Stalled || broken < 2 || st.Waiting < 4 || st.Running != 0 || st.PagesFree != st.PagesTotal {
			t.Errorf("while it is away: %+v", st)
		}
		for _, s := range streams[:broken] {
			wasLost(t, e, req, 0, receive(t, s, 1)[0])
		}
		for range broken { // the queue takes as many as ever
			streams = append(streams, submit(t, e, req))
		}
		var le *llm.Error
		if _, err := e.Submit(t.Context(), req); !errors.As(err, &le) || le.Kind != llm.Overloaded || le.RetryAfter < time.Second {
			t.Errorf("a full queue says %v", err)
		}
		close(g)
		for _, s := range streams[broken:] {
			expect(t, e, req, receive(t, s, 1))
		}
		var pauses []time.Duration
		times := set(1 << 30)
		for i := range times[1:] {
			pauses = append(pauses, times[i+1].Sub(times[i]))
		}
		if !slices.Equal(pauses, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}) {
			t.Errorf("pauses %v", pauses)
		}

		l.all[1].lost.Store(true)
		wasLost(t, e, req, 0, ask(t, e, req)[0])
		waits := submit(t, e, req)
		time.Sleep(25 * time.Second)
		if e.Stats().Stalled {
			t.Error("stalled before the limit")
		}
		a := receive(t, waits, 1)[0]
		if llm.KindOf(a.finish.Err) != llm.Overloaded || !e.Stats().Stalled || !e.Stats().Restarting {
			t.Errorf("%+v, %+v", a.finish, e.Stats())
		}
		if _, err := e.Submit(t.Context(), req); llm.KindOf(err) != llm.Overloaded {
			t.Errorf("Submit without a device: %v", err)
		}
		set(1 << 30)
		time.Sleep(10 * time.Minute)
		if n := len(set(0)); n < 19 || n > 21 {
			t.Errorf("%d attempts in ten minutes, want one each 30 s", n)
		}
		time.Sleep(longestPause)
		synctest.Wait()
		expect(t, e, req, ask(t, e, req))
		if s := e.Stats(); s.Restarts != 2 || s.Stalled || s.Restarting {
			t.Errorf("at the end: %+v", s)
		}
		settled(t, e)
	})
}

// TestADeviceThatDiesAtOnceIsNotOpenedAllTheTime: opening is dear.
func TestADeviceThatDiesAtOnceIsNotOpenedAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lives{t: t, cfg: small(), diesAt: func(int) int { return 1 }}
		e := l.start(nil)
		req := newReq(prompt(1, 30), greedy(20))
		began := time.Now()
		for range 20 {
			wasLost(t, e, req, 0, ask(t, e, req)[0])
		}
		if took := time.Since(began); took < 5*time.Minute {
			t.Errorf("20 devices used up in %v", took)
		}
		settled(t, e)
	})
}

// TestCloseAndCancelWhileTheDeviceOpens: clients hear at once, Close waits.
func TestCloseAndCancelWhileTheDeviceOpens(t *testing.T) {
	for _, opens := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			hold := make(chan struct{})
			l := &lives{t: t, cfg: small(), diesAt: func(life int) int { return []int{1, 0}[min(life, 1)] }}
			l.before = func(int) error {
				<-hold
				if !opens {
					return errors.New("no device")
				}
				return nil
			}
			e := l.start(nil)
			req := newReq(prompt(1, 30), greedy(20))
			wasLost(t, e, req, 0, ask(t, e, req)[0])
			ctx, cancel := context.WithCancel(t.Context())
			leaves, err := e.Submit(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			stays := submit(t, e, req)
			cancel()
			if a := receive(t, leaves, 1)[0]; llm.KindOf(a.finish.Err) != llm.Cancelled {
				t.Errorf("the one that left: %+v", a.finish)
			}
			synctest.Wait() // the steps behind the lost one have landed: it is being opened
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				e.Close()
			}()
			if a := receive(t, stays, 1)[0]; a.finish.Reason != llm.FinishAbort || llm.KindOf(a.finish.Err) != llm.Stopping {
				t.Errorf("the one that waited: %+v", a.finish)
			}
			synctest.Wait()
			select {
			case <-closed:
				t.Error("Close did not wait for the device that is being opened")
			default:
			}
			close(hold)
			<-closed
			for i, m := range l.all {
				if !m.closed.Load() {
					t.Errorf("device %d of %d is open", i, len(l.all))
				}
			}
			settled(t, e)
		})
	}
}

// TestDevicesAreLostAgainAndAgain: with clients that leave meanwhile, and each
// stream ends once.
func TestDevicesAreLostAgainAndAgain(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			deaths := rand.New(rand.NewPCG(seed, 6))
			l := &lives{t: t, cfg: small()}
			l.diesAt = func(int) int { return 1 + deaths.IntN(30) }
			var opens atomic.Int64
			l.before = func(int) error {
				if opens.Add(1)%3 == 0 {
					panic("driver")
				}
				return nil
			}
			e := l.start(func(c *Config) { c.PrefillRows = 16; c.MaxWaiting = 100 })
			var wg sync.WaitGroup
			for i, req := range mixed(r, 60, 100, 40) {
				ctx, cancel := context.WithCancel(context.Background())
				s, err := e.Submit(ctx, req)
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					defer cancel()
					if i%4 == 0 {
						time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
					}
					if i%5 == 0 {
						s.Stop(req.N-1, "match")
					}
					for k, a := range receive(t, s, req.N) {
						if a.finish.Reason == llm.FinishError {
							wasLost(t, e, req, k, a)
						}
					}
				})
			}
			wg.Wait()
			if e.Stats().Restarts < 2 {
				t.Errorf("%d restarts", e.Stats().Restarts)
			}
			settled(t, e)
		})
	}
}

// TestAModelThatChangedIsNotServed: its tokens would mean something else.
func TestAModelThatChangedIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lives{t: t, cfg: small(), diesAt: func(life int) int { return []int{1, 0, 0}[min(life, 2)] }}
		e := l.start(nil)
		other := e.cfg.Reopen
		e.cfg.Reopen = func() (backend.Backend, error) { // the loop has not begun to use it
			be, err := other()
			if l.count() == 2 {
				return otherVocab{be}, err
			}
			return be, err
		}
		req := newReq(prompt(1, 30), greedy(20))
		wasLost(t, e, req, 0, ask(t, e, req)[0])
		expect(t, e, req, ask(t, e, req))
		if l.count() != 3 || !l.all[1].closed.Load() {
			t.Errorf("%d devices", l.count())
		}
		settled(t, e)
	})
}

type otherVocab struct{ backend.Backend }

func (b otherVocab) Info() backend.Info { return backend.Info{Name: "fake", Vocab: fakeVocab + 1} }
