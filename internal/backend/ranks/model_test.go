package ranks_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/backend/ranks"
	"github.com/reasond/reasond/internal/backend/reference"
	"github.com/reasond/reasond/internal/engine"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// makers are the backends that have groups.
var makers = []struct {
	name string
	one  func(backend.Config) (backend.Backend, error)
	many func(backend.Config, int) ([]backend.Backend, error)
}{
	{"reference",
		func(c backend.Config) (backend.Backend, error) { return reference.New(c) },
		func(c backend.Config, n int) ([]backend.Backend, error) { return backends(reference.NewGroup(c, n)) }},
	{"cpu",
		func(c backend.Config) (backend.Backend, error) { return cpu.New(c) },
		func(c backend.Config, n int) ([]backend.Backend, error) { return backends(cpu.NewGroup(c, n)) }},
}

func backends[B backend.Backend](all []B, err error) ([]backend.Backend, error) {
	var list []backend.Backend
	for _, b := range all {
		list = append(list, b)
	}
	return list, err
}

var models = []string{"qwen2", "qwen3"}

// Law: a model over two ranks answers as it does on one: greedy and sampled, with
// penalties, log-probabilities, guides, forks, prefix hits and preemption.
func TestTwoRanksAnswerAsOne(t *testing.T) {
	for _, maker := range makers {
		for _, name := range models {
			t.Run(maker.name+"/"+name, func(t *testing.T) {
				cfg := backend.Config{Float32: true, MaxRows: 24, MaxSeqs: 4, MaxContext: 96, Pages: 10}
				one, err := maker.one(cfg)
				if err != nil {
					t.Fatal(err)
				}
				load(t, name, func(src *weights.Model) error {
					_, err := model.Load(src, one, weights.Shard{Size: 1})
					return err
				})
				all, err := maker.many(cfg, 2)
				if err != nil {
					t.Fatal(err)
				}
				g := ranks.New(all)
				load(t, name, func(src *weights.Model) error {
					return g.Load(func(b backend.Backend, sh weights.Shard) error {
						_, err := model.Load(src, b, sh)
						return err
					})
				})
				want, got := answers(t, cfg, one), answers(t, cfg, g)
				for i := range want {
					if !slices.Equal(got[i], want[i]) {
						t.Errorf("answer %d:\n got %v\nwant %v", i, got[i], want[i])
					}
				}
			})
		}
	}
}

func load(t *testing.T, name string, put func(*weights.Model) error) {
	t.Helper()
	src, err := weights.Open("../../../testdata/models/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := put(src); err != nil {
		t.Fatal(err)
	}
}

// answers serves a crowd of requests on b, which it closes.
func answers(t *testing.T, cfg backend.Config, b backend.Backend) [][]int32 {
	t.Helper()
	e, err := engine.New(engine.Config{Backend: cfg, Model: "test", PrefillRows: 9}, b)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	reqs := requests()
	got := make([][][]int32, len(reqs))
	var wait sync.WaitGroup
	for i, req := range reqs {
		s, err := e.Submit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = make([][]int32, req.N)
		wait.Go(func() {
			for {
				deltas, err := s.Recv(context.Background())
				if errors.Is(err, io.EOF) {
					return
				}
				for _, d := range deltas {
					got[i][d.Choice] = append(got[i][d.Choice], d.IDs...)
					if d.Finish != nil && d.Finish.Err != nil {
						t.Error(d.Finish.Err)
					}
				}
			}
		})
	}
	wait.Wait()
	return slices.Concat(got...)
}

func requests() []*llm.Request {
	var reqs []*llm.Request
	for i := range 12 {
		req := &llm.Request{N: 1, Sampling: llm.DefaultSampling()}
		for k := range 5 + 4*i {
			req.Prompt.IDs = append(req.Prompt.IDs, int32((k*(7+i%3)+3)%120))
		}
		p := &req.Sampling
		p.Temperature, p.MaxTokens, p.Seed = 0, 30, uint64(i)
		switch i % 4 {
		case 1:
			p.Temperature, p.RepetitionPenalty, p.PresencePenalty = 1.1, 1.2, 0.3
		case 2:
			p.Temperature, req.N = 1.4, 2
		case 3:
			req.Guide = func(int) llm.Guide { return &evens{} }
		}
		reqs = append(reqs, req)
	}
	return reqs
}

// evens allows only even tokens and forces one of its own now and then.
type evens struct{ seen int }

func (e *evens) Accept(ids []int32) llm.Directive {
	if e.seen += len(ids); e.seen%5 == 4 {
		return llm.Directive{Force: []int32{17}}
	}
	return llm.Directive{}
}

func (e *evens) Mask(dst []uint32) bool {
	for i := range dst {
		dst[i] = 0x55555555
	}
	return true
}
