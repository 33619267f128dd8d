//go:build cuda && cgo && linux

package cuda

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/ranks"
	"github.com/reasond/reasond/internal/cuda/cudatest"
	"github.com/reasond/reasond/internal/engine"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// onTwoDevices returns how groups are made; nil: the test has run elsewhere.
func onTwoDevices(t *testing.T) backendtest.OpenRanks {
	t.Helper()
	if !cudatest.Several(t, 2) {
		return nil
	}
	nccl := ""
	if cudatest.Present() {
		nccl = cudatest.NCCL(t)
	}
	return func(cfg backend.Config, n int) ([]backend.Backend, error) {
		opt := Options{Driver: cudatest.Driver(t), BLAS: "none"}
		if n == 1 {
			b, err := New(opt, cfg)
			return []backend.Backend{b}, err
		}
		group, err := NewGroup(opt, nccl, cfg, n)
		var all []backend.Backend
		for _, b := range group {
			all = append(all, b)
		}
		return all, err
	}
}

// Law: ranks compute what one device does, with at most 55 % of the weights'
// bytes each and two all-reduces a layer.
func TestModelsDividedAmongRanks(t *testing.T) {
	open := onTwoDevices(t)
	if open == nil {
		return
	}
	for _, name := range []string{"llama", "qwen2", "qwen3", "qwen3-moe", "gpt-oss", "deepseek-v3"} {
		t.Run(name, func(t *testing.T) {
			want := backendtest.Goldens{Logits: 5e-2, BatchVariant: true}
			backendtest.ModelRanks(t, open, "../../../testdata/models", name, 2, want, 0.55)
		})
	}
}

// Law: what the library is asked for in a decode step is two sums a layer, one of
// the embeddings and one of the logits, and each rank's step is one graph.
func TestADecodeStepsAllReducesAreCounted(t *testing.T) {
	open := onTwoDevices(t)
	if open == nil {
		return
	}
	if !cudatest.Present() {
		t.Skip("a real driver does not count")
	}
	cfg := backend.Config{MaxRows: 16, MaxSeqs: 2, MaxContext: 64, Pages: 4}
	g, layers := groupOf(t, open, cfg)
	defer g.Close()
	d := backendtest.NewDriver(g, cfg, 1)
	s := &backendtest.Sequence{}
	g.SetSlot(0, backend.Slot{})
	step := func(tokens ...int32) {
		t.Helper()
		if _, err := d.Step(backendtest.Part{Seq: s, Tokens: tokens, Want: 1, Sample: true}); err != nil {
			t.Fatal(err)
		}
	}
	step(3, 4, 5)
	step(^int32(0))
	step(^int32(0))
	cudatest.Reset()
	const steps = 5
	run := func() error {
		if err := d.Fill(backendtest.Part{Seq: s, Tokens: []int32{^int32(0)}, Want: 1, Sample: true}); err != nil {
			return err
		}
		return errors.Join(g.Forward(), g.Sample(), g.Sync())
	}
	for range steps {
		if err := run(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range cudatest.Read() {
		if got, want := c.Calls["ncclAllReduce"], steps*(2*layers+2); got != want || c.GraphLaunches != steps || c.DirectLaunches != 0 {
			t.Errorf("device %d: %d all-reduces in %d steps of %d layers, want %d; %d graphs and %d launches", i, got, steps, layers, want, c.GraphLaunches, c.DirectLaunches)
		}
	}
}

func groupOf(t *testing.T, open backendtest.OpenRanks, cfg backend.Config) (*ranks.Group, int) {
	t.Helper()
	all, err := open(cfg, 2)
	if err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open("../../../testdata/models/qwen3")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	g := ranks.New(all)
	layers := 0
	err = g.Load(func(b backend.Backend, sh weights.Shard) error {
		m, err := model.Load(src, b, sh)
		if err == nil && sh.Rank == 0 {
			layers = m.Config.Layers
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, layers
}

// Law: a fault on one device loses the group, holds no rank, and a new group
// works on the same devices.
func TestAFaultOnOneDeviceLosesTheGroup(t *testing.T) {
	open := onTwoDevices(t)
	if open == nil {
		return
	}
	if !cudatest.Present() {
		t.Skip("faults are the emulator's")
	}
	cfg := backend.Config{MaxRows: 16, MaxSeqs: 2, MaxContext: 64, Pages: 4}
	for _, call := range []string{"ncclAllReduce", "*"} {
		g, _ := groupOf(t, open, cfg)
		d := backendtest.NewDriver(g, cfg, 1)
		s := &backendtest.Sequence{}
		g.SetSlot(0, backend.Slot{})
		step := func(tokens ...int32) error {
			_, err := d.Step(backendtest.Part{Seq: s, Tokens: tokens, Want: 1, Sample: true})
			return err
		}
		if err := step(3, 4, 5); err != nil {
			t.Fatal(err)
		}
		cudatest.Fault(call, 4, 700)
		began := time.Now()
		var err error
		for i := 0; i < 4 && err == nil; i++ {
			err = step(^int32(0))
		}
		if !errors.Is(err, backend.ErrLost) {
			t.Errorf("%s: %v", call, err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: after %v", call, took)
		}
		if err := g.Close(); err != nil {
			t.Errorf("%s: Close: %v", call, err)
		}
		cudatest.Reset()
	}
	g, _ := groupOf(t, open, cfg)
	defer g.Close()
	d := backendtest.NewDriver(g, cfg, 1)
	if _, err := d.Step(backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: []int32{3, 4, 5}, Want: 1, Sample: true}); err != nil {
		t.Errorf("a new group: %v", err)
	}
}

// Law: ranks agree on every token (else the step fails), sampled, masked, with
// penalties, in forks and after prefix hits.
func TestRanksAgreeInACrowd(t *testing.T) {
	open := onTwoDevices(t)
	if open == nil {
		return
	}
	cfg := backend.Config{MaxRows: 24, MaxSeqs: 4, MaxContext: 96, Pages: 10}
	g, _ := groupOf(t, open, cfg)
	e, err := engine.New(engine.Config{Backend: cfg, Model: "test", PrefillRows: 9}, g)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var wait sync.WaitGroup
	for i := range 12 {
		req := &llm.Request{N: 1 + i%4/3, Sampling: llm.DefaultSampling()}
		for k := range 5 + 4*i {
			req.Prompt.IDs = append(req.Prompt.IDs, int32((k*(7+i%3)+3)%120))
		}
		p := &req.Sampling
		p.MaxTokens, p.Seed = 20, uint64(i)
		guided := i%3 == 1
		if guided {
			req.Guide = func(int) llm.Guide { return evens{} }
		}
		if i%3 == 2 {
			p.RepetitionPenalty, p.FrequencyPenalty, p.TopK, p.Logprobs, p.TopLogprobs = 1.3, 0.4, 20, true, 3
		}
		s, err := e.Submit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			for {
				deltas, err := s.Recv(context.Background())
				if errors.Is(err, io.EOF) {
					return
				}
				for _, d := range deltas {
					if d.Finish != nil && d.Finish.Err != nil {
						t.Error(d.Finish.Err)
					}
					for _, id := range d.IDs {
						if guided && id%2 != 0 {
							t.Errorf("request %d: token %d is masked", i, id)
						}
					}
				}
			}
		})
	}
	wait.Wait()
	if s := e.Stats(); s.PrefixHits == 0 || s.OutputTokens < 12*20 {
		t.Errorf("%+v", s)
	}
}

// evens allows even tokens only.
type evens struct{}

func (evens) Accept([]int32) llm.Directive { return llm.Directive{} }

func (evens) Mask(dst []uint32) bool {
	for i := range dst {
		dst[i] = 0x55555555
	}
	return true
}
