//go:build cuda && cgo && linux

package bundle

import (
	"fmt"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/cuda/cudatest"
	"github.com/reasond/reasond/internal/llm"
)

// onTwo is how the embedded model is opened on the GPUs of the test.
func onTwo(t *testing.T, tp, dp int) Config {
	c := Config{
		Device:         Device{CUDA: true, Driver: cudatest.Driver(t), BLAS: "none", Memory: 0.3},
		TensorParallel: tp, DataParallel: dp, MaxModelLen: 256, MaxSeqs: 4, MaxBatchedTokens: 64,
	}
	if cudatest.Present() {
		c.Device.NCCL = cudatest.NCCL(t)
	}
	return c
}

// Law: two GPUs as ranks or as engines answer as one GPU does, and both work.
func TestTwoGPUsAnswerAsOne(t *testing.T) {
	if !cudatest.Several(t, 2) {
		return
	}
	const tokens = 6
	var cases []idCase
	for _, c := range idCases(t, 9) {
		if c.Margin > 0.3 && len(c.Prompt) < 100 {
			cases = append(cases, c)
		}
	}
	for _, c := range []struct{ tp, dp int }{{1, 1}, {2, 1}, {1, 2}} {
		t.Run(fmt.Sprintf("tp=%d,dp=%d", c.tp, c.dp), func(t *testing.T) {
			b, err := Open(onTwo(t, c.tp, c.dp))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			cudatest.Reset()
			for i, got := range outputs(t, b.Engine, cases, tokens) {
				if want := first(cases[i].Output, tokens); !slices.Equal(got, want) {
					t.Errorf("%s:\n got %v\nwant %v", cases[i].Name, got, want)
				}
			}
			sums := 0
			for i, c1 := range cudatest.Read() {
				sums += c1.Calls["ncclAllReduce"]
				if busy := c1.GraphLaunches > 0; busy != (i < c.tp*c.dp) {
					t.Errorf("device %d of %d: %d graphs launched", i, c.tp*c.dp, c1.GraphLaunches)
				}
			}
			if cudatest.Present() && (sums > 0) != (c.tp > 1) {
				t.Errorf("%d all-reduces", sums)
			}
		})
	}
}

// Law: a fault on one GPU ends what runs there; the other engine goes on, and the
// lost one comes back.
func TestALostGPUComesBack(t *testing.T) {
	if !cudatest.Several(t, 2) {
		return
	}
	if !cudatest.Present() {
		t.Skip("faults are the emulator's")
	}
	cases := idCases(t, 20)[:2]
	for _, c := range []struct{ tp, dp int }{{2, 1}, {1, 2}} {
		t.Run(fmt.Sprintf("tp=%d,dp=%d", c.tp, c.dp), func(t *testing.T) {
			b, err := Open(onTwo(t, c.tp, c.dp))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			want := outputs(t, b.Engine, cases, 6)
			cudatest.Fault("*", 40, 700)
			s, err := b.Engine.Submit(t.Context(), &llm.Request{N: 1, Prompt: llm.Prompt{IDs: cases[0].Prompt}, Sampling: llm.SamplingParams{TopP: 1, RepetitionPenalty: 1, MaxTokens: 100, IgnoreEOS: true}})
			if err != nil {
				t.Fatal(err)
			}
			var end *llm.Finish
			for end == nil {
				deltas, err := s.Recv(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range deltas {
					end = d.Finish
				}
			}
			if llm.KindOf(end.Err) != llm.Stopping {
				t.Errorf("it ends with %+v", end)
			}
			again := outputs(t, b.Engine, cases, 6) // waits for the device where there is no other
			for i := range want {
				if !slices.Equal(again[i], want[i]) {
					t.Errorf("after the fault: %v, before %v", again[i], want[i])
				}
			}
		})
	}
}
