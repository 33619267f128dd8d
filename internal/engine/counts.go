package engine

import (
	"sync"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/runner"
)

// counts is what the loop adds to the scheduler's own statistics.
type counts struct {
	steps, rows, tokens uint64
	last                int64   // unix nanoseconds
	requestSeconds      float64 // smoothed life of a request; guarded by Engine.mu
}

func (c *counts) step(s *runner.Step) {
	c.steps++
	for i := range s.Plan.Items {
		c.rows += uint64(s.Plan.Items[i].Count)
	}
	c.rows -= uint64(s.Left())
	c.last = time.Now().UnixNano()
}

func (c *counts) served(seconds float64, mu *sync.Mutex) {
	mu.Lock()
	c.requestSeconds = blend(c.requestSeconds, seconds)
	mu.Unlock()
}

// publish replaces the snapshot that Stats returns.
func (e *Engine) publish() {
	s, pool := e.sched.Stats(), e.sched.Pool()
	e.mu.Lock()
	defer e.mu.Unlock()
	t := &e.stats
	t.Running, t.Waiting = e.sched.Running(), e.sched.Waiting()
	t.PagesTotal, t.PagesFree, t.PagesCached, t.PageTokens = pool.Total(), pool.Free(), pool.Cached(), backend.PageTokens
	t.Steps, t.Rows, t.OutputTokens, t.LastStep = e.counts.steps, e.counts.rows, e.counts.tokens, e.counts.last
	t.PromptTokens, t.CachedTokens = s.PromptTokens, s.CachedTokens
	t.PrefillTokens, t.Preemptions = s.PrefillTokens, s.Preemptions
	t.PrefixQueries, t.PrefixHits = s.PrefixQueries, s.PrefixHits
	t.DraftTokens, t.DraftAccepted = s.DraftTokens, s.DraftAccepted
	t.Restarting, t.Restarts = e.restart.down, e.restart.count
	t.WeightBytes, t.WeightFileBytes = e.info.WeightBytes, e.info.FileBytes
}
