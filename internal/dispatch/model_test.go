package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/dispatch"
	"github.com/reasond/reasond/internal/engine"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/weights"
)

var _ pipeline.Engine = (*dispatch.Engine)(nil)

var size = backend.Config{MaxRows: 64, MaxSeqs: 4, MaxContext: 96, Pages: 24, Threads: 1}

// open makes a small model's backend.
func open(t testing.TB) backend.Backend {
	t.Helper()
	src, err := weights.Open("../../testdata/models/qwen3")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	b, err := cpu.New(size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.Load(src, b, weights.Shard{Size: 1}); err != nil {
		t.Fatal(err)
	}
	return b
}

func start(t testing.TB, b backend.Backend, reopen func() (backend.Backend, error)) *engine.Engine {
	t.Helper()
	e, err := engine.New(engine.Config{Backend: size, Model: "test", Reopen: reopen, Log: slog.New(slog.DiscardHandler)}, b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func requests(n int) []*llm.Request {
	r := rand.New(rand.NewPCG(2, 9))
	var reqs []*llm.Request
	for i := range n {
		req := &llm.Request{N: 1 + i%5/4, Tenant: fmt.Sprint(i % 2), Sampling: llm.DefaultSampling()}
		for k := range 1 + r.IntN(70) {
			req.Prompt.IDs = append(req.Prompt.IDs, int32((k*(5+i%3)+i%2)%120))
		}
		req.Sampling.MaxTokens, req.Sampling.Seed = 1+r.IntN(24), uint64(i)
		if i%3 == 0 {
			req.Sampling.Temperature = 0
		}
		reqs = append(reqs, req)
	}
	return reqs
}

// read takes a stream to its end: ids and finish of each choice, one each.
func read(t testing.TB, s llm.Stream, n int) ([][]int32, []*llm.Finish) {
	t.Helper()
	got, ends := make([][]int32, n), make([]*llm.Finish, n)
	for {
		deltas, err := s.Recv(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		for _, d := range deltas {
			if ends[d.Choice] != nil {
				t.Errorf("choice %d goes on after its finish", d.Choice)
			}
			got[d.Choice] = append(got[d.Choice], d.IDs...)
			ends[d.Choice] = d.Finish
		}
	}
	if slices.Contains(ends, nil) {
		t.Error("a choice has no finish")
	}
	return got, ends
}

// answers serves all requests at once.
func answers(t *testing.T, e pipeline.Engine, reqs []*llm.Request) [][][]int32 {
	t.Helper()
	out := make([][][]int32, len(reqs))
	var wait sync.WaitGroup
	for i, req := range reqs {
		s, err := e.Submit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			var ends []*llm.Finish
			out[i], ends = read(t, s, req.N)
			for _, f := range ends {
				if f != nil && f.Err != nil {
					t.Error(f.Err)
				}
			}
		})
	}
	wait.Wait()
	return out
}

// Law: several engines answer as one does, and their caches are used.
func TestSeveralEnginesAnswerAsOne(t *testing.T) {
	reqs := requests(40)
	one := start(t, open(t), nil)
	defer one.Close()
	want := answers(t, one, reqs)
	e, err := dispatch.New(dispatch.Config{}, []dispatch.Member{start(t, open(t), nil), start(t, open(t), nil)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i, got := range answers(t, e, reqs) {
			if !slices.EqualFunc(got, want[i], slices.Equal) {
				t.Errorf("request %d: %v, want %v", i, got, want[i])
			}
		}
	}
	s := e.Stats()
	if s.PrefixHits == 0 || s.Running != 0 || s.Waiting != 0 || s.PagesTotal != 2*size.Pages {
		t.Errorf("%+v", s)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, err := e.Submit(t.Context(), reqs[0]); llm.KindOf(err) != llm.Stopping {
		t.Errorf("Submit after Close: %v", err)
	}
}

// mortal is lost in a step of its life.
type mortal struct {
	backend.Backend
	left int // steps; below 0: for ever
}

func (m *mortal) Forward() error {
	if m.left == 0 {
		return fmt.Errorf("test: %w", backend.ErrLost)
	}
	m.left--
	return m.Backend.Forward()
}

// Law: with engines that are lost again and again and clients that leave, every
// choice ends once, what is whole is right, and nothing stays counted.
func TestEnginesThatAreLostAndClientsThatLeave(t *testing.T) {
	reqs := requests(60)
	one := start(t, open(t), nil)
	defer one.Close()
	want := answers(t, one, reqs)
	var deaths atomic.Int64
	var members []dispatch.Member
	for i := range 3 {
		reopen := func() (backend.Backend, error) {
			if deaths.Add(1) > 4 {
				return open(t), nil
			}
			return &mortal{open(t), 20}, nil
		}
		members = append(members, start(t, &mortal{open(t), 5 + 10*i}, reopen))
	}
	e, err := dispatch.New(dispatch.Config{Imbalance: 2}, members)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var whole, broken atomic.Int64
	for i, req := range reqs {
		wait.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s, err := e.Submit(ctx, req)
			if err != nil {
				t.Error(err)
				return
			}
			switch i % 10 {
			case 3:
				time.AfterFunc(time.Millisecond, cancel)
			case 6:
				s.Close()
			}
			got, ends := read(t, s, req.N)
			for k, f := range ends {
				switch {
				case f.Reason == llm.FinishStop || f.Reason == llm.FinishLength:
					whole.Add(1)
					if !slices.Equal(got[k], want[i][k]) {
						t.Errorf("request %d: %v, want %v", i, got[k], want[i][k])
					}
				case f.Reason == llm.FinishError && errors.Is(f.Err, backend.ErrLost), f.Reason == llm.FinishAbort:
					broken.Add(1)
				default:
					t.Errorf("request %d ends with %+v", i, f)
				}
			}
		})
	}
	wait.Wait()
	if whole.Load() < 20 || broken.Load() < 5 {
		t.Errorf("%d choices were answered, %d broke off", whole.Load(), broken.Load())
	}
	if e.Stats().Restarts == 0 {
		t.Error("no engine was lost")
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
