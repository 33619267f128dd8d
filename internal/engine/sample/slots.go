package sample

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

// Slots is the sampling half of a backend whose logits the host can read: the
// states of all slots and the last token of each.
type Slots struct {
	states   []State
	last     []int32
	samplers []Sampler // one a worker
	each     Each
	busy     []bool // slots of this batch, while it is checked
	runs     []int  // where each run of samples of one slot begins, and their number
}

// Each calls do(worker, i) for every i below n, from up to as many workers at
// the same time as Parallel was told, and returns when all are done. A worker
// does one call at a time.
type Each func(n int, do func(worker, i int))

// NewSlots makes n slots, all empty.
func NewSlots(n int) *Slots {
	return &Slots{states: make([]State, n), last: make([]int32, n), samplers: make([]Sampler, 1), busy: make([]bool, n)}
}

// Parallel lets Sample spread rows over workers. Results do not depend on it.
func (s *Slots) Parallel(workers int, each Each) {
	s.samplers, s.each = make([]Sampler, max(workers, 1)), each
}

// Set binds a slot to a sequence. The slot's last token is the sequence's.
func (s *Slots) Set(slot int, v backend.Slot) {
	s.states[slot].Reset(v)
	switch {
	case len(v.Generated) > 0:
		s.last[slot] = v.Generated[len(v.Generated)-1]
	case len(v.Prompt) > 0:
		s.last[slot] = v.Prompt[len(v.Prompt)-1]
	default:
		s.last[slot] = 0
	}
}

// Last is the token last sampled in a slot: what Batch.Token means by ^slot.
func (s *Slots) Last(slot int32) int32 { return s.last[slot] }

// Sample does all of b.Samples into b.Sampled, those of one slot in their order,
// drafted ones up to the first wrong guess. row is a logits row of the step. A row
// that cannot be sampled says so in its Sampled and leaves its slot's last token
// alone; what is drafted behind it is not taken. The error is the batch's: nothing
// was sampled.
func (s *Slots) Sample(b *backend.Batch, row func(i int) []float32) error {
	apart, err := s.check(b)
	if err != nil {
		return err
	}
	n := len(b.Samples)
	b.Sampled = b.Sampled[:n]
	runs := len(s.runs) - 1
	if s.each != nil && apart && runs > 1 {
		s.each(runs, func(worker, i int) { s.run(b, row, worker, s.runs[i], s.runs[i+1]) })
		return nil
	}
	s.run(b, row, 0, 0, n)
	return nil
}

// check refuses samples that are out of range, finds the runs of one slot each, and
// reports whether these are of different slots.
func (s *Slots) check(b *backend.Batch) (apart bool, err error) {
	if len(b.Samples) > cap(b.Sampled) {
		return false, fmt.Errorf("sample: %d samples exceed the batch's %d", len(b.Samples), cap(b.Sampled))
	}
	clear(s.busy)
	s.runs = s.runs[:0]
	apart = true
	for i, r := range b.Samples {
		follows := i > 0 && b.Samples[i-1].Slot == r.Slot
		switch {
		case r.Slot < 0 || int(r.Slot) >= len(s.states):
			return false, fmt.Errorf("sample: sample %d is of slot %d of %d", i, r.Slot, len(s.states))
		case r.Logits < 0 || int(r.Logits) >= len(b.LogitRows):
			return false, fmt.Errorf("sample: sample %d wants logits row %d of %d", i, r.Logits, len(b.LogitRows))
		case r.Masked && (i+1)*b.MaskWords > len(b.Masks):
			return false, fmt.Errorf("sample: sample %d has no mask", i)
		case r.Drafted && (!follows || int(b.LogitRows[r.Logits]) >= len(b.Token)):
			return false, fmt.Errorf("sample: sample %d is of a guess at nothing", i)
		}
		if follows {
			continue
		}
		apart = apart && !s.busy[r.Slot]
		s.busy[r.Slot] = true
		s.runs = append(s.runs, i)
	}
	s.runs = append(s.runs, len(b.Samples))
	return apart, nil
}

// run does the samples from one to another, in order. wrong says that the last
// guess was not what was sampled, or that nothing was.
func (s *Slots) run(b *backend.Batch, row func(i int) []float32, worker, from, to int) {
	wrong := false
	for i := from; i < to; i++ {
		r, out := &b.Samples[i], &b.Sampled[i]
		if !r.Drafted {
			wrong = false
		} else if !wrong {
			wrong = b.Token[b.LogitRows[r.Logits]] != s.last[r.Slot]
		}
		if wrong {
			*out = backend.Sampled{Token: backend.NotTaken, Top: out.Top[:0]}
			continue
		}
		s.one(b, row, worker, i)
		wrong = out.Err != nil
	}
}

func (s *Slots) one(b *backend.Batch, row func(i int) []float32, worker, i int) {
	r := b.Samples[i]
	var mask []uint32
	if r.Masked {
		mask = b.Masks[i*b.MaskWords : (i+1)*b.MaskWords]
	}
	out := &b.Sampled[i]
	s.samplers[worker].Row(out, row(int(r.Logits)), &s.states[r.Slot], r.Pos, mask)
	if out.Err == nil {
		s.last[r.Slot] = out.Token
	}
}
