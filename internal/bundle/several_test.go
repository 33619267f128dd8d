package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

type idCase struct {
	Name   string
	Prompt []int32 `json:"prompt_ids"`
	Output []int32 `json:"output_ids"`
	Margin float64 `json:"min_margin"`
}

// idCases are every n-th of what transformers generated.
func idCases(t *testing.T, every int) []idCase {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct{ Cases []idCase }
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	var out []idCase
	for i := 0; i < len(g.Cases); i += every {
		out = append(out, g.Cases[i])
	}
	return out
}

// outputs generates at most tokens greedily for all cases at once.
func outputs(t *testing.T, e pipeline.Engine, cases []idCase, tokens int) [][]int32 {
	t.Helper()
	out := make([][]int32, len(cases))
	var wait sync.WaitGroup
	for i, c := range cases {
		req := &llm.Request{N: 1, Prompt: llm.Prompt{IDs: c.Prompt}, Sampling: llm.DefaultSampling()}
		req.Sampling.Temperature, req.Sampling.MaxTokens = 0, tokens
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
					out[i] = append(out[i], d.IDs...)
					if d.Finish != nil && d.Finish.Err != nil {
						t.Error(d.Finish.Err)
					}
				}
			}
		})
	}
	wait.Wait()
	return out
}

func first(ids []int32, n int) []int32 { return ids[:min(n, len(ids))] }

// Law: several engines, several ranks, and both, answer as transformers does.
func TestSeveralEnginesAndRanksAnswerAsOne(t *testing.T) {
	cases := idCases(t, 3)
	for _, c := range []struct{ tp, dp int }{{1, 2}, {2, 1}, {2, 2}} {
		t.Run(fmt.Sprintf("tp=%d,dp=%d", c.tp, c.dp), func(t *testing.T) {
			b, err := Open(Config{Float32: true, TensorParallel: c.tp, DataParallel: c.dp, Threads: 4, MaxModelLen: 512, MaxSeqs: 4})
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range outputs(t, b.Engine, cases, 60) {
				if want := first(cases[i].Output, 60); !slices.Equal(got, want) {
					t.Errorf("%s:\n got %v\nwant %v", cases[i].Name, got, want)
				}
			}
			if s := b.Engine.Stats(); s.PagesTotal != b.Pages || s.PagesFree != s.PagesTotal {
				t.Errorf("%d pages, %+v", b.Pages, s)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASplitThatDoesNotDivideIsRefusedByItsField(t *testing.T) {
	_, err := Open(Config{TensorParallel: 3})
	if err == nil || !strings.Contains(err.Error(), "--tensor-parallel-size 3: num_attention_heads 8 does not divide among 3 ranks") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// Law: engines divide what the machine has, and have devices of their own.
func TestEnginesDivideTheMachine(t *testing.T) {
	c := Config{DataParallel: 3, TensorParallel: 2, Threads: 7, MaxWaiting: 256, Device: Device{Index: 1}}
	for i, device := range []int{1, 3, 5} {
		if e := c.engine(i); e.Threads != 2 || e.MaxWaiting != 86 || e.Device.Index != device {
			t.Errorf("engine %d: %d threads, %d waiting, device %d", i, e.Threads, e.MaxWaiting, e.Device.Index)
		}
	}
	c.Device.CUDA = true
	if e := c.engine(1); e.Threads != 7 {
		t.Errorf("an engine on a GPU has %d threads", e.Threads)
	}
	one := Config{DataParallel: 1, TensorParallel: 1, MaxWaiting: 10}
	if e := one.engine(0); e.Threads != 0 || e.MaxWaiting != 10 {
		t.Errorf("the only engine: %+v", e)
	}
}
