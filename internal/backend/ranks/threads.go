package ranks

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/reasond/reasond/internal/backend"
)

// rank is a backend on a thread of its own.
type rank struct {
	index   int
	b       backend.Backend
	calls   chan call
	away    bool // in a call that has not come back
	closing bool // that call is Close's
}

type call func(r *rank) error

type result struct {
	rank int
	err  error
}

const (
	// A rank that fails, and is not lost, leaves the others at most this long in
	// what they do; then they are aborted, and given up as long after that.
	patience = 5 * time.Second
	// Closing takes at most this long.
	closing = 30 * time.Second
)

func (r *rank) run(results chan<- result) {
	runtime.LockOSThread()
	for c := range r.calls {
		results <- result{r.index, r.do(c)}
	}
}

func (r *rank) do(c call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c(r)
}

// all has every rank do the same and waits. Where all fail, and none is lost, the
// error is the first one's and the group goes on; where some fail, it is lost.
func (g *Group) all(c call) error {
	if g.err != nil {
		return g.err
	}
	away := g.send(c)
	var errs []error
	var late <-chan time.Time
	aborted := false
	for away > 0 {
		select {
		case got := <-g.results:
			away--
			err := g.back(got)
			if err == nil {
				continue
			}
			errs = append(errs, err)
			if !aborted && errors.Is(err, backend.ErrLost) { // the others wait in vain
				aborted = true
				g.abort()
				late = nil
			}
			if late == nil {
				late = time.After(patience)
			}
		case <-late:
			if aborted {
				return g.lose(append(errs, fmt.Errorf("%d ranks do not come back", away)))
			}
			aborted = true
			g.abort()
			late = time.After(patience)
		}
	}
	switch {
	case errs == nil:
		return nil
	case aborted || len(errs) < len(g.ranks):
		return g.lose(errs)
	}
	return errs[0]
}

// send hands a call to every rank that is there, and returns how many are.
func (g *Group) send(c call) (sent int) {
	for _, r := range g.ranks {
		if !r.away {
			r.away = true
			r.calls <- c
			sent++
		}
	}
	return sent
}

// back notes that a rank came back, and names it in its error.
func (g *Group) back(got result) error {
	g.ranks[got.rank].away = false
	if got.err == nil {
		return nil
	}
	return fmt.Errorf("rank %d of %d: %w", got.rank, len(g.ranks), got.err)
}

// lose ends the group: ranks that did not fail may have done what the others did
// not, or wait for them on their devices.
func (g *Group) lose(errs []error) error {
	g.abort()
	if err := errors.Join(errs...); errors.Is(err, backend.ErrLost) {
		g.err = err
	} else {
		g.err = fmt.Errorf("%w: %w", backend.ErrLost, err)
	}
	return g.err
}

func (g *Group) abort() {
	for _, r := range g.ranks {
		if a, ok := r.b.(Aborter); ok {
			a.Abort()
		}
	}
}

// Close implements backend.Backend: all ranks at once, as they may wait for each
// other in that too. A rank that does not come back is left as it is; one that was
// given up and is back meanwhile is closed as the others are.
func (g *Group) Close() error {
	var errs []error
	waiting := 0
	shut := func(r *rank) {
		r.away, r.closing = true, true
		r.calls <- func(r *rank) error { return r.b.Close() }
		waiting++
	}
	for _, r := range g.ranks {
		if !r.away {
			shut(r)
		}
	}
	for late := time.After(closing); waiting > 0; {
		select {
		case got := <-g.results:
			if r := g.ranks[got.rank]; !r.closing {
				shut(r)
				continue
			}
			waiting--
			if err := g.back(got); err != nil {
				errs = append(errs, err)
			}
		case <-late:
			waiting = 0
		}
	}
	for _, r := range g.ranks {
		if r.away {
			errs = append(errs, fmt.Errorf("ranks: rank %d of %d does not come back and is left", r.index, len(g.ranks)))
		}
		close(r.calls)
	}
	g.err = errors.New("ranks: closed")
	return errors.Join(errs...)
}
