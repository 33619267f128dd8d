package scripted

import (
	"slices"
	"time"
)

// join has the engine's own goroutine take a request's steps, and waits for its
// end.
func (e *Engine) join(m *member) {
	e.mu.Lock()
	stopped := e.stopped
	if !stopped {
		e.batch = append(e.batch, m)
	}
	e.mu.Unlock()
	if !stopped {
		<-m.ended
		return
	}
	for e.advance(m) { // nobody else does
	}
}

// beat takes one step of every request that runs, again and again, until the
// engine is closed; then the step ends them.
func (e *Engine) beat() {
	tick := time.NewTicker(max(e.cfg.StepTime, time.Microsecond))
	defer tick.Stop()
	var batch []*member
	for open := true; open || len(batch) > 0; {
		select {
		case <-tick.C:
		case <-e.done:
			open = false
		}
		e.mu.Lock()
		batch = append(batch[:0], e.batch...)
		e.mu.Unlock()
		for _, m := range batch {
			if !e.advance(m) {
				e.leave(m)
			}
		}
	}
}

func (e *Engine) leave(m *member) {
	e.mu.Lock()
	e.batch = slices.DeleteFunc(e.batch, func(other *member) bool { return other == m })
	e.mu.Unlock()
	close(m.ended)
}
