package engine

import (
	"runtime"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/backend"
)

// A step is at most two native calls, whatever runs in it: prefill in chunks,
// decode, sampling, forks of n = 4.
func TestNativeCallsGrowByAtMostTwoAStep(t *testing.T) {
	cases := goldenCases(t)
	for _, d := range devices[1:] {
		t.Run(d.name, func(t *testing.T) {
			e := tinyEngine(t, d.open, backend.Config{MaxRows: 64, MaxSeqs: 8, MaxContext: 512, Pages: 128}, nil)
			crowd := func(penalised int) {
				var all sync.WaitGroup
				for i := range 8 {
					p := greedy(60)
					p.IgnoreEOS = true
					if i%penalised == penalised-1 {
						p.Temperature, p.Seed, p.PresencePenalty = 1, uint64(i), 1
					}
					req := newReq(cases[i].PromptIDs, p)
					if i == 3 {
						req.N = 4
					}
					s := submit(t, e, req)
					all.Go(func() { receive(t, s, req.N) })
				}
				all.Wait()
			}
			crowd(1) // memory for sampling is taken as it is needed, most by penalties
			steps, calls := e.Stats().Steps, runtime.NumCgoCall()
			crowd(2)
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			// Two more: closing the backend is native too.
			made, ran := runtime.NumCgoCall()-calls, int64(e.Stats().Steps-steps)
			if ran < 60 || made > 2*ran+2 {
				t.Errorf("%d native calls in %d steps", made, ran)
			}
			t.Logf("%d native calls in %d steps", made, ran)
		})
	}
}
