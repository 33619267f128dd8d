package dispatch

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// fake is a member that records what it is sent and answers when told to.
type fake struct {
	mu      sync.Mutex
	stats   llm.Stats
	caps    llm.Caps
	refuse  error
	streams []*fakeStream
	closed  int
}

func (f *fake) Submit(ctx context.Context, req *llm.Request) (llm.Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	s := &fakeStream{req: req, deltas: make(chan llm.Delta, 8)}
	f.streams = append(f.streams, s)
	return s, nil
}

func (f *fake) Caps() llm.Caps { return f.caps }

func (f *fake) Stats() llm.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

func (f *fake) set(s llm.Stats) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stats = s
}

func (f *fake) Close() error {
	f.closed++
	return errors.New("closed")
}

func (f *fake) sent() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams)
}

type fakeStream struct {
	req    *llm.Request
	deltas chan llm.Delta
	closed bool
}

func (s *fakeStream) Recv(ctx context.Context) ([]llm.Delta, error) {
	select {
	case d, ok := <-s.deltas:
		if !ok {
			return nil, io.EOF
		}
		return []llm.Delta{d}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
func (s *fakeStream) Stop(int, string) {}
func (s *fakeStream) Close()           { s.closed = true }

func (s *fakeStream) finish(choice int) {
	s.deltas <- llm.Delta{Choice: choice, Finish: &llm.Finish{Reason: llm.FinishStop}}
}

func several(t *testing.T, n int, cfg Config) (*Engine, []*fake) {
	t.Helper()
	var fakes []*fake
	var members []Member
	for range n {
		f := &fake{}
		fakes, members = append(fakes, f), append(members, f)
	}
	e, err := New(cfg, members)
	if err != nil {
		t.Fatal(err)
	}
	return e, fakes
}

func submit(t *testing.T, e *Engine, req *llm.Request) llm.Stream {
	t.Helper()
	s, err := e.Submit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// where is the number of requests that each got.
func where(fakes []*fake) []int {
	var out []int
	for _, f := range fakes {
		out = append(out, f.sent())
	}
	return out
}

func openChoices(e *Engine) []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []int
	for _, m := range e.members {
		out = append(out, m.open)
	}
	return out
}

func TestTheSameBeginningGoesToTheSameEngine(t *testing.T) {
	for _, off := range []bool{false, true} {
		e, fakes := several(t, 3, Config{NoPrefixCache: off, Imbalance: 100})
		for round := range 10 {
			for talk := range uint64(3) {
				// Three conversations that grow, two of which begin alike.
				req := request("", "", slices.Concat(ids(talk/2, 70), ids(talk, 40*round))...)
				submit(t, e, req)
			}
		}
		got := where(fakes)
		slices.Sort(got)
		if want := map[bool][]int{false: {0, 10, 20}, true: {10, 10, 10}}[off]; !slices.Equal(got, want) {
			t.Errorf("prefix cache off=%v: sent %v, want %v", off, got, want)
		}
	}
}

func TestLoadIsBalanced(t *testing.T) {
	e, fakes := several(t, 4, Config{Imbalance: 6})
	for i := range uint64(100) {
		submit(t, e, request("", "", ids(i, 100)...))
	}
	if got := where(fakes); !slices.Equal(got, []int{25, 25, 25, 25}) {
		t.Errorf("100 prompts of their own: %v", got)
	}
	e, fakes = several(t, 4, Config{Imbalance: 6})
	for range 100 {
		submit(t, e, request("", "", ids(1, 100)...))
		if got := openChoices(e); slices.Max(got)-slices.Min(got) > 7 {
			t.Fatalf("one prompt again and again: %v under way", got)
		}
	}
	if got := where(fakes); slices.Min(got) < 20 {
		t.Errorf("one prompt again and again: %v", got)
	}
	e, fakes = several(t, 2, Config{})
	for range 3 { // choices count, not requests
		req := request("", "", ids(5, 10)...)
		req.N = 4
		submit(t, e, req)
		for range 4 {
			submit(t, e, request("", "", ids(6, 10)...))
		}
	}
	if got := openChoices(e); got[0] != 12 || got[1] != 12 {
		t.Errorf("under way: %v", got)
	}
}

// Law: choices are counted out once, however their stream ends.
func TestChoicesAreCountedOutOnce(t *testing.T) {
	e, fakes := several(t, 1, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	req := request("", "", 1)
	req.N = 2
	last := func() *fakeStream { return fakes[0].streams[len(fakes[0].streams)-1] }
	check := func(name string, want int) {
		t.Helper()
		synctest.Wait()
		if got := openChoices(e)[0]; got != want {
			t.Errorf("%s: %d under way, want %d", name, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel = context.WithCancel(t.Context())
		recv := func(s llm.Stream) {
			t.Helper()
			if _, err := s.Recv(ctx); err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		}
		s := submit(t, e, req)
		last().finish(1)
		recv(s)
		check("one finish", 1)
		last().finish(1) // against the law of streams; not counted all the same
		recv(s)
		check("the same finish", 1)
		last().finish(0)
		recv(s)
		check("both finishes", 0)
		close(last().deltas)
		recv(s)
		s.Close()
		check("the end, and Close", 0)

		s = submit(t, e, req)
		s.Close()
		s.Close()
		if !last().closed {
			t.Error("Close does not reach the stream")
		}
		check("Close", 0)
		last().finish(0)
		recv(s)
		check("a finish after Close", 0)

		if _, err := e.Submit(ctx, req); err != nil {
			t.Error(err)
		}
		check("running", 2)
		cancel()
		check("its context ended", 0)
	})
}

func TestEnginesThatRefuseOrAreNotReadyArePassedOver(t *testing.T) {
	busy := &llm.Error{Kind: llm.Overloaded, Message: "busy", RetryAfter: time.Second}
	e, fakes := several(t, 3, Config{})
	req := request("", "", ids(1, 100)...)
	submit(t, e, req)
	fakes[0].refuse = busy
	submit(t, e, req)
	fakes[1].set(llm.Stats{Restarting: true})
	submit(t, e, req)
	submit(t, e, req)
	if got := where(fakes); !slices.Equal(got, []int{1, 1, 2}) {
		t.Errorf("sent %v", got)
	}
	fakes[2].set(llm.Stats{Stalled: true})
	submit(t, e, req)
	if got := where(fakes); !slices.Equal(got, []int{1, 2, 2}) {
		t.Errorf("to the one whose device is opened anew: %v", got)
	}
	fakes[1].refuse, fakes[2].refuse = llm.Errorf(llm.Stopping, "", "other"), llm.Errorf(llm.Overloaded, "", "third")
	before := openChoices(e)
	if _, err := e.Submit(t.Context(), req); err != error(busy) {
		t.Errorf("all refuse: %v", err)
	}
	if got := openChoices(e); !slices.Equal(got, before) {
		t.Errorf("refused ones are counted: %v, before %v", got, before)
	}

	// What is wrong with a request is wrong everywhere.
	e, fakes = several(t, 3, Config{})
	invalid := llm.Errorf(llm.Invalid, "n", "no")
	fakes[0].refuse = invalid
	if _, err := e.Submit(t.Context(), req); err != error(invalid) || fakes[1].sent() != 0 {
		t.Errorf("%v", err)
	}
}

func TestAnEngineThatWasRestartedKnowsNothing(t *testing.T) {
	e, fakes := several(t, 2, Config{Imbalance: 100})
	req := request("", "", ids(1, 100)...)
	submit(t, e, req)
	submit(t, e, req)
	if got := where(fakes); !slices.Equal(got, []int{2, 0}) {
		t.Fatalf("sent %v", got)
	}
	fakes[0].set(llm.Stats{Restarts: 1})
	submit(t, e, req)
	submit(t, e, req)
	if got := where(fakes); !slices.Equal(got, []int{2, 2}) {
		t.Errorf("after the restart: %v", got)
	}
}

// Law: a stalled engine holds nobody, and each choice ends once.
func TestAnEngineThatStallsHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, fakes := several(t, 2, Config{})
		req := request("", "", 1)
		req.N = 3
		s := submit(t, e, req)
		fakes[0].streams[0].finish(1)
		if _, err := s.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
		recv := func() ([]llm.Delta, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return s.Recv(ctx)
		}
		if _, err := recv(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a slow engine: %v", err)
		}
		fakes[0].set(llm.Stats{Stalled: true})
		got, err := recv()
		if err != nil || len(got) != 2 || got[0].Choice != 0 || got[1].Choice != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		for _, d := range got {
			var le *llm.Error
			if d.Finish.Reason != llm.FinishError || !errors.As(d.Finish.Err, &le) || le.Kind != llm.Stopping || le.RetryAfter == 0 {
				t.Errorf("%+v", d.Finish)
			}
		}
		fakes[0].streams[0].finish(0) // too late
		if _, err := recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
		if !fakes[0].streams[0].closed || openChoices(e)[0] != 0 {
			t.Errorf("the stream is open, %d choices under way", openChoices(e)[0])
		}
	})
}

func TestStatsAndCapsAreOfAll(t *testing.T) {
	a := &fake{stats: llm.Stats{Running: 1, Waiting: 2, PagesTotal: 10, Steps: 3, LastStep: 7, Restarts: 1, WeightBytes: 5},
		caps: llm.Caps{IDs: true, Guides: true, Logprobs: true, MaxContext: 100}}
	b := &fake{stats: llm.Stats{Running: 4, Waiting: 1, PagesTotal: 11, Steps: 9, LastStep: 5, WeightBytes: 5},
		caps: llm.Caps{IDs: true, Logprobs: true, MaxContext: 90}}
	e, err := New(Config{}, []Member{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Stats(), (llm.Stats{Running: 5, Waiting: 3, PagesTotal: 21, Steps: 12, LastStep: 7, Restarts: 1, WeightBytes: 10}); got != want {
		t.Errorf("%+v", got)
	}
	if got, want := e.Caps(), (llm.Caps{IDs: true, Logprobs: true, MaxContext: 90}); got != want {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct{ a, b, want llm.Stats }{
		{llm.Stats{Stalled: true}, llm.Stats{}, llm.Stats{}},
		{llm.Stats{Restarting: true}, llm.Stats{}, llm.Stats{}},
		{llm.Stats{Stalled: true}, llm.Stats{Stalled: true}, llm.Stats{Stalled: true}},
		{llm.Stats{Stalled: true}, llm.Stats{Restarting: true}, llm.Stats{Restarting: true}},
		{llm.Stats{Unreachable: true}, llm.Stats{}, llm.Stats{}},
		{llm.Stats{Unreachable: true}, llm.Stats{Unreachable: true}, llm.Stats{Unreachable: true}},
	} {
		a.set(c.a)
		b.set(c.b)
		if got := e.Stats(); got != c.want {
			t.Errorf("%+v and %+v: %+v", c.a, c.b, got)
		}
	}
	if err := e.Close(); err == nil || e.Close() != err || a.closed != 1 || b.closed != 1 {
		t.Errorf("closed %d and %d times, %v", a.closed, b.closed, err)
	}
	for _, n := range []int{0, 65} {
		if _, err := New(Config{}, make([]Member, n)); err == nil {
			t.Errorf("%d engines were taken", n)
		}
	}
}
