package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// TestPromptsDelayNoTokenLongerThanAllowed: on a device whose steps take exactly
// what its rows cost, prompts that arrive while others decode add at most
// MaxPrefillStall to a step, or twice what its tokens cost where that is less, and the
// cost of the smallest chunk where that is more; and they get most of it.
func TestPromptsDelayNoTokenLongerThanAllowed(t *testing.T) {
	const stall, ms = 100 * time.Millisecond, time.Millisecond
	for _, c := range []struct {
		name   string
		decode func(rows int) time.Duration
		row    func(depth int) time.Duration // of a prompt
		bound  time.Duration
		used   time.Duration // of the bound, at least, once
		over   int           // steps that may take longer: it cannot be known before
	}{
		{"cheap rows", func(int) time.Duration { return 60 * ms }, func(int) time.Duration { return ms / 5 }, stall, stall * 3 / 4, 0},
		{"cheap tokens", func(int) time.Duration { return 5 * ms }, func(int) time.Duration { return ms / 5 }, 20 * ms, 9 * ms, 10}, // until tokens were timed alone; what so many take is guessed at first
		{"dear rows", func(int) time.Duration { return 5 * ms }, func(int) time.Duration { return 10 * ms }, stall, 300 * ms, 0},
		{"dearer the deeper", func(int) time.Duration { return 60 * ms }, func(depth int) time.Duration { return ms/4 + time.Duration(depth)*100 }, stall, stall * 3 / 4, 0},
		{"a crowd that goes", func(rows int) time.Duration { return time.Duration(rows) * 4 * ms }, func(int) time.Duration { return ms / 5 }, stall, 20 * ms, 0},
		{"cores are lost", func(int) time.Duration { return 60 * ms }, slowing(4000, ms/5, ms), stall, stall * 3 / 4, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				be := newFake(t, backend.Config{MaxRows: 1024, MaxSeqs: 40, MaxContext: 4096, Pages: 2048})
				most, mixed, over := time.Duration(0), 0, 0
				be.onBatch = func(b *backend.Batch) {
					decode, added, chunk := 0, time.Duration(0), time.Duration(0)
					for _, q := range b.Seqs {
						if q.Count == 1 {
							decode++
							continue
						}
						for k := range q.Count {
							cost := c.row(int(q.Length - q.Count + k))
							added, chunk = added+cost, max(chunk, minPrefill*cost)
						}
					}
					if decode > 0 && added > 0 {
						mixed++
						most = max(most, added)
						if added > max(c.bound, chunk) {
							over++
						}
						if over > c.over {
							t.Errorf("step %d: prompts add %v to %d tokens", be.steps, added, decode)
						}
					}
					time.Sleep(c.decode(decode) + added)
				}
				e := start(t, be, func(c *Config) { c.MaxPrefillStall = stall })
				talk := greedy(400)
				talk.IgnoreEOS = true
				var streams []llm.Stream
				for i := range 30 {
					p := talk
					if i > 2 {
						p.MaxTokens = 20
					}
					streams = append(streams, submit(t, e, newReq(prompt(uint64(i), 40), p)))
				}
				time.Sleep(5 * time.Second)
				for i := range 5 {
					streams = append(streams, submit(t, e, newReq(prompt(uint64(100+i), 3000), greedy(5))))
					time.Sleep(300 * ms)
				}
				for _, s := range streams {
					receive(t, s, 1)
				}
				if mixed < 10 || most < c.used {
					t.Errorf("%d steps had prompts beside tokens, which added up to %v", mixed, most)
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// slowing is a cost that changes once so many rows were computed.
func slowing(rows int, before, after time.Duration) func(int) time.Duration {
	return func(int) time.Duration {
		if rows--; rows >= 0 {
			return before
		}
		return after
	}
}
