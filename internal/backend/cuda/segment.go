//go:build cuda && cgo && linux

package cuda

import (
	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// segment is a stretch of a step: batches of launches, one native call each,
// and between them calls of libraries (cuBLASLt, the ranks' sums).
type segment []part

// part is one of the two.
type part struct {
	launches *driver.Launches
	call     func(*driver.Stream) error
}

// run enqueues the segment on a stream, which may be capturing.
func (s segment) run(on *driver.Stream) error {
	for _, p := range s {
		var err error
		if p.launches != nil {
			err = on.Launch(p.launches)
		} else {
			err = p.call(on)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// emitter collects the launches of a segment for one bucket of rows.
type emitter struct {
	b     *Backend
	rows  int // the bucket
	batch kernels.Batch
	// narrow leaves out wide attention, which the step has none of.
	narrow bool

	pending []kernels.Launch
	out     segment
}

// launch appends kernels. It takes what a launcher returns.
func (e *emitter) launch(launches []kernels.Launch, err error) error {
	e.pending = append(e.pending, launches...)
	return err
}

// one is launch for launchers of a single kernel.
func (e *emitter) one(l kernels.Launch, err error) error { return e.launch([]kernels.Launch{l}, err) }

// call appends a call of a library.
func (e *emitter) call(f func(*driver.Stream) error) error {
	err := e.flush()
	e.out = append(e.out, part{call: f})
	return err
}

func (e *emitter) flush() error {
	if len(e.pending) == 0 {
		return nil
	}
	launches, err := e.b.bind(e.pending)
	if err != nil {
		return err
	}
	e.out = append(e.out, part{launches: launches})
	e.pending = nil
	return nil
}

// segment is what was collected.
func (e *emitter) segment() (segment, error) {
	err := e.flush()
	return e.out, err
}
