package engine

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/runner"
	"github.com/reasond/reasond/internal/llm"
)

// restart is what the loop knows of a device that is lost; the zero value but
// for its channel: none is. A restart goes like this, the loop being there for
// its clients all the time:
//
//  1. lose: what has begun ends, what waits stays in a fresh scheduler;
//  2. reopen: with no step under way, and no sooner than the delay says, another
//     goroutine closes the backend and opens it anew;
//  3. reopened: steps begin again, or the next attempt is put off.
type restart struct {
	down    bool
	since   time.Time
	opening bool             // a goroutine is at it and will send to opened
	opened  chan opened      // capacity 1
	due     bool             // the next attempt may begin
	again   <-chan time.Time // fires when it may; nil: due, or an attempt is under way
	delay   time.Duration    // before the next attempt; 0 after a good step
	count   uint64           // devices opened anew
}

type opened struct {
	be  backend.Backend
	err error
}

// The pause before the second attempt, doubled for each further one. A device
// that opens and fails its first step comes again no sooner than one that does
// not open.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// lose ends every request that has begun: its KV is gone, and one of them may be
// what the device died of. Those that wait lose nothing and go on waiting. Pages
// and cached prefixes are forgotten.
func (e *Engine) lose(err error) {
	r := &e.restart
	r.down, r.since = true, time.Now()
	if r.due = r.delay == 0; !r.due {
		r.again = time.After(r.delay)
	}
	r.delay = min(max(2*r.delay, firstPause), longestPause)
	e.sched = e.newScheduler()
	var waiting []*request
	for q := range e.requests {
		for i := range q.choices {
			q.choices[i].seq = nil
		}
		if !q.begun {
			waiting = append(waiting, q)
			continue
		}
		for i := range q.choices {
			e.finish(&q.choices[i], llm.Finish{Reason: llm.FinishError, StopID: -1, Err: lost(err)})
		}
	}
	slices.SortFunc(waiting, func(a, b *request) int { return cmp.Compare(a.arrival, b.arrival) })
	for _, q := range waiting {
		e.enqueue(q)
	}
	e.cfg.Log.Error("the device is lost and will be opened anew", "waiting", len(waiting), "err", err)
}

// lost is what a client reads whose answer broke off.
func lost(err error) error {
	return &llm.Error{Kind: llm.Stopping, Code: "device_lost", RetryAfter: firstPause, Err: err,
		Message: "The device failed during this request and is being restarted; send the request again."}
}

// reopen begins an attempt to open the device anew, if it may begin now.
func (e *Engine) reopen() {
	r := &e.restart
	if !r.due || len(e.flight) > 0 {
		return
	}
	r.due, r.opening = false, true
	old, be := e.runner.Swap(nil), e.be
	e.be = nil
	go func() { r.opened <- e.open(old, be) }()
}

// open closes the lost backend, where that was not done yet, and makes the next.
func (e *Engine) open(old *runner.Runner, be backend.Backend) (o opened) {
	defer func() {
		if p := recover(); p != nil {
			o = opened{err: fmt.Errorf("engine: panic in opening the device: %v\n%s", p, debug.Stack())}
		}
	}()
	if old != nil {
		old.Close()
		if err := be.Close(); err != nil {
			e.cfg.Log.Warn("the lost device did not close well", "err", err)
		}
	}
	be, err := e.cfg.Reopen()
	if err != nil {
		return opened{err: err}
	}
	if got := be.Info().Vocab; got != e.info.Vocab {
		return opened{err: errors.Join(fmt.Errorf("engine: the model opened anew has %d tokens, it had %d", got, e.info.Vocab), be.Close())}
	}
	return opened{be: be}
}

// reopened goes on with the new device or puts the next attempt off. Requests go
// on waiting; beyond the stall limit they end as with a device that hangs.
func (e *Engine) reopened(o opened) {
	r := &e.restart
	r.opening = false
	if o.err != nil {
		e.away.Store(r.since.UnixNano())
		r.again = time.After(r.delay)
		e.cfg.Log.Error("the device does not open", "again in", r.delay, "err", o.err)
		r.delay = min(2*r.delay, longestPause)
		return
	}
	e.away.Store(0)
	e.be = o.be
	e.runner.Store(e.newRunner(o.be))
	r.down = false
	r.count++
	e.cfg.Log.Info("the device is back", "after", time.Since(r.since).Round(time.Millisecond))
}

// awaitOpening is for the end of the loop: an attempt under way is waited for.
func (e *Engine) awaitOpening() {
	if !e.restart.opening {
		return
	}
	if o := <-e.restart.opened; o.err == nil {
		e.be = o.be
	}
}
