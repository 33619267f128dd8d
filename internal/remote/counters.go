package remote

import (
	"sync"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// counters are what the engine can say about the upstream's work.
type counters struct {
	mu    sync.Mutex
	stats llm.Stats
}

// Stats is a snapshot: Waiting are requests that the upstream has not accepted
// yet, Steps are events received, tokens are what the upstream counted.
func (e *Engine) Stats() llm.Stats {
	e.stats.mu.Lock()
	defer e.stats.mu.Unlock()
	return e.stats.stats
}

func (c *counters) update(change func(*llm.Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.stats)
}

func (c *counters) submitted() { c.update(func(s *llm.Stats) { s.Waiting++ }) }

func (c *counters) accepted(ok bool) {
	c.update(func(s *llm.Stats) {
		if s.Waiting--; ok {
			s.Running++
			s.Unreachable = false
		}
	})
}

func (c *counters) ended(ran bool) {
	c.update(func(s *llm.Stats) {
		if ran {
			s.Running--
		}
	})
}

func (c *counters) frame() {
	c.update(func(s *llm.Stats) {
		s.Steps++
		s.LastStep = time.Now().UnixNano()
	})
}

func (c *counters) usage(u *llm.Usage) {
	if u == nil {
		return
	}
	c.update(func(s *llm.Stats) {
		s.PromptTokens += uint64(max(u.Prompt, 0))
		s.CachedTokens += uint64(max(u.Cached, 0))
		s.PrefillTokens += uint64(max(u.Prompt-u.Cached, 0))
		s.OutputTokens += uint64(max(u.Completion, 0))
	})
}
