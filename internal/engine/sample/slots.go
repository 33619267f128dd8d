package sample

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

// Slots is the sampling half of a backend whose logits the host can read: the
// states of all slots and the last token of each.
type Slots struct {
	states  []State
	last    []int32
	sampler Sampler
	jobs    []job
}

// NewSlots makes n slots, all empty, of which rows are read by a scanner; nil is
// Plain. Results do not depend on it.
func NewSlots(n int, by Scanner) *Slots {
	return &Slots{states: make([]State, n), last: make([]int32, n), sampler: Sampler{by: by}}
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
	if err := s.check(b); err != nil {
		return err
	}
	s.jobs = s.jobs[:0]
	for i, r := range b.Samples {
		j := job{logits: row(int(r.Logits))}
		if r.Masked {
			j.mask = b.Masks[i*b.MaskWords : (i+1)*b.MaskWords]
		}
		if j.drafted = r.Drafted; r.Drafted {
			j.guess = b.Token[b.LogitRows[r.Logits]]
		}
		s.jobs = append(s.jobs, j)
	}
	s.sampler.read(s.jobs, func(i int) *State { return &s.states[b.Samples[i].Slot] })
	b.Sampled = b.Sampled[:len(b.Samples)]
	s.finish(b)
	return nil
}

// check refuses samples that are out of range.
func (s *Slots) check(b *backend.Batch) error {
	if len(b.Samples) > cap(b.Sampled) {
		return fmt.Errorf("sample: %d samples exceed the batch's %d", len(b.Samples), cap(b.Sampled))
	}
	for i, r := range b.Samples {
		follows := i > 0 && b.Samples[i-1].Slot == r.Slot
		switch {
		case r.Slot < 0 || int(r.Slot) >= len(s.states):
			return fmt.Errorf("sample: sample %d is of slot %d of %d", i, r.Slot, len(s.states))
		case r.Logits < 0 || int(r.Logits) >= len(b.LogitRows):
			return fmt.Errorf("sample: sample %d wants logits row %d of %d", i, r.Logits, len(b.LogitRows))
		case r.Masked && (i+1)*b.MaskWords > len(b.Masks):
			return fmt.Errorf("sample: sample %d has no mask", i)
		case r.Drafted && (!follows || int(b.LogitRows[r.Logits]) >= len(b.Token)):
			return fmt.Errorf("sample: sample %d is of a guess at nothing", i)
		}
	}
	return nil
}

// finish does the samples in order. wrong says that the last guess was not what was
// sampled, or that nothing was.
func (s *Slots) finish(b *backend.Batch) {
	wrong := false
	for i := range b.Samples {
		r, out := &b.Samples[i], &b.Sampled[i]
		if !r.Drafted {
			wrong = false
		} else if !wrong {
			wrong = s.jobs[i].guess != s.last[r.Slot]
		}
		if wrong {
			*out = backend.Sampled{Token: backend.NotTaken, Top: out.Top[:0]}
			continue
		}
		s.sampler.finish(out, &s.jobs[i], &s.states[r.Slot], r.Pos)
		if wrong = out.Err != nil; !wrong {
			s.last[r.Slot] = out.Token
		}
	}
}
