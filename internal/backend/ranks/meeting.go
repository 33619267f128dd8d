package ranks

import (
	"errors"
	"sync"
)

// Meeting is where the ranks of one process come together, for backends in
// memory that both can reach.
type Meeting struct {
	mu      sync.Mutex
	turn    *sync.Cond
	parts   []any // what the ranks brought to the present meeting
	arrived int
	held    int // meetings held
	aborted bool
}

// ErrAborted says that a rank is not waited for any longer.
var ErrAborted = errors.New("ranks: aborted")

// NewMeeting is for n ranks.
func NewMeeting(n int) *Meeting {
	m := &Meeting{parts: make([]any, n)}
	m.turn = sync.NewCond(&m.mu)
	return m
}

// Meet waits until every rank has brought its part; the last one to come does
// the work for all, and all return. The ranks must meet in the same order. After
// Abort it returns ErrAborted.
func (m *Meeting) Meet(rank int, part any, work func(parts []any)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parts[rank] = part
	m.arrived++
	if m.arrived < len(m.parts) && !m.aborted {
		for held := m.held; held == m.held && !m.aborted; {
			m.turn.Wait()
		}
	} else if !m.aborted {
		work(m.parts)
		m.arrived = 0
		m.held++
		m.turn.Broadcast()
	}
	if m.aborted {
		return ErrAborted
	}
	return nil
}

// Abort ends this and every later meeting.
func (m *Meeting) Abort() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.aborted = true
	m.turn.Broadcast()
}
