package runner

import (
	"fmt"
	"sync"

	"github.com/reasond/reasond/internal/backend"
)

// masks computes guides' masks on a few workers while the device runs. Each
// worker writes only its row's words of Batch.Masks and its row's flags.
type masks struct {
	todo chan task
	open sync.WaitGroup // tasks of the running step
	end  sync.WaitGroup // workers
}

type task struct {
	batch   *backend.Batch
	step    *Step
	item, k int // index in Plan.Items and in Batch.Samples
}

func newMasks(workers int) *masks {
	m := &masks{todo: make(chan task, 64)}
	for range workers {
		m.end.Go(func() {
			for t := range m.todo {
				t.run()
				m.open.Done()
			}
		})
	}
	return m
}

// start queues the step's guided rows and reports whether there are any.
func (m *masks) start(b *backend.Batch, s *Step) bool {
	if len(s.Guides) == 0 {
		return false
	}
	k, any := 0, false
	for i := range s.Plan.Items {
		if s.Plan.Items[i].Logits > 0 && s.Guides[i] != nil {
			m.open.Add(1)
			m.todo <- task{batch: b, step: s, item: i, k: k}
			any = true
		}
		k += s.samples(i)
	}
	return any
}

func (m *masks) wait() { m.open.Wait() }

func (m *masks) close() {
	close(m.todo)
	m.end.Wait()
}

func (t task) run() {
	defer func() {
		if p := recover(); p != nil {
			t.step.Rows[t.item].Err = fmt.Errorf("runner: panic in a guide: %v", p)
		}
	}()
	n := t.batch.MaskWords
	t.batch.Samples[t.k].Masked = t.step.Guides[t.item].Mask(t.batch.Masks[t.k*n : (t.k+1)*n])
}
