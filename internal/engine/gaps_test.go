package engine

import (
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// client asks for answers one after the other, of so many tokens to prompts of so
// many, and thinks for a while before each.
type client struct {
	prompt, answer, requests int
	think                    time.Duration
}

// sight is what clients of one kind saw.
type sight struct {
	mu    sync.Mutex
	first []time.Duration // to the first token
	gaps  []time.Duration // from token to token
}

// serve runs the clients of each kind on a device whose steps take 2 ms, and 0.3 ms
// for a row that decodes and 0.25 ms for a prompt's. It returns what they saw, and
// the tokens a second of all.
func serve(t *testing.T, kinds ...[]client) (seen []*sight, speed float64) {
	const row = 50 * time.Microsecond
	be := newFake(t, backend.Config{MaxRows: 512, MaxSeqs: 16, MaxContext: 16384, Pages: 4096})
	be.quiet = true
	be.onBatch = func(b *backend.Batch) {
		took := 40 * row
		for _, q := range b.Seqs {
			if q.Count == 1 {
				took += 6 * row
			} else {
				took += time.Duration(q.Count) * 5 * row
			}
		}
		time.Sleep(took)
	}
	e := start(t, be, nil)
	begun, tokens := time.Now(), 0
	var wait sync.WaitGroup
	for kind, clients := range kinds {
		sees := &sight{}
		seen = append(seen, sees)
		for i, c := range clients {
			tokens += c.requests * c.answer
			wait.Go(func() {
				for k := range c.requests {
					time.Sleep(c.think)
					p := greedy(c.answer)
					p.IgnoreEOS = true
					sees.watch(t, submit(t, e, newReq(prompt(uint64(kind<<32|i<<16|k), c.prompt), p)))
				}
			})
		}
	}
	wait.Wait()
	speed = float64(tokens) / time.Since(begun).Seconds()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	return seen, speed
}

func (c *sight) watch(t *testing.T, s llm.Stream) {
	last, first := time.Now(), true
	for {
		deltas, err := s.Recv(t.Context())
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		if len(deltas[0].IDs) == 0 {
			continue
		}
		c.mu.Lock()
		if gap := time.Since(last); first {
			c.first = append(c.first, gap)
		} else {
			c.gaps = append(c.gaps, gap)
		}
		c.mu.Unlock()
		last, first = time.Now(), false
	}
}

func several(n int, c client) []client { return slices.Repeat([]client{c}, n) }

// TestTokensComeEvenly: whatever prompts arrive, of a hundred gaps in the answers
// beside them 99 are under four times the median (six where a prompt as long as all
// others together comes once: its steps are a crowd's, and whether most of the gaps
// are hangs on who came first), and nobody waits for ever; where
// prompts come in crowds, little of a step is the tokens beside them, and no gap is
// one that a reader notices.
func TestTokensComeEvenly(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name            string
		talkers, others []client
		speed           float64       // tokens a second of all, at least
		median          time.Duration // of the talkers' gaps, at most; 0: they have none
		first           time.Duration // to the others' first tokens, at most
		uneven          time.Duration // 99 of 100 gaps are under so many times the median
	}{
		{"sixteen at once", several(16, client{120, 64, 1, 0}), nil, 950, 20 * ms, 0, 4},
		{"sixteen at once with long prompts", several(16, client{611, 64, 1, 0}), nil, 310, 30 * ms, 0, 4},
		{"sixteen all the time", several(16, client{120, 64, 8, 0}), nil, 1050, 20 * ms, 0, 4},
		{"sixteen all the time with long prompts", several(16, client{611, 64, 8, 0}), nil, 330, 30 * ms, 0, 4},
		{"a long prompt now and then", several(4, client{40, 2000, 1, 0}), several(1, client{1000, 8, 10, 500 * ms}), 850, 5 * ms, 400 * ms, 4},
		{"a huge prompt", several(4, client{40, 2000, 1, 0}), several(1, client{8000, 8, 1, 1000 * ms}), 900, 5 * ms, 3 * time.Second, 4},
		{"a huge prompt among small ones", several(8, client{100, 64, 10, 0}), several(1, client{8000, 8, 1, 500 * ms}), 700, 20 * ms, 4 * time.Second, 6},
		{"small prompts among huge ones", several(3, client{8000, 1, 1, 0}), several(1, client{50, 8, 8, 100 * ms}), 0, 0, 500 * ms, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen, speed := serve(t, c.talkers, c.others)
				median, most := quantile(seen[0].gaps, 0.5), quantile(seen[0].gaps, 0.99)
				if c.median > 0 && (most >= c.uneven*median || median > c.median || speed < c.speed) {
					t.Errorf("%.0f tokens/s, must be %.0f; gaps of %v, at most %v; 99 of 100 under %v", speed, c.speed, median, c.median, most)
				}
				for _, others := range seen[1:] {
					if first := quantile(others.first, 1); first > c.first {
						t.Errorf("the others' first tokens come after %v, at most %v", first, c.first)
					}
				}
			})
		})
	}
}

func quantile(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[int(q*float64(len(list)-1))]
}
