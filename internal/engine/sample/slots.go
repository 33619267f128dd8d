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
}

// NewSlots makes n slots, all empty.
func NewSlots(n int) *Slots {
	return &Slots{states: make([]State, n), last: make([]int32, n)}
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

// Sample does all of b.Samples, in order, into b.Sampled. row is a logits row
// of the step. A row that cannot be sampled says so in its Sampled and leaves
// its slot's last token alone. The error is the batch's: nothing was sampled.
func (s *Slots) Sample(b *backend.Batch, row func(i int) []float32) error {
	if len(b.Samples) > cap(b.Sampled) {
		return fmt.Errorf("sample: %d samples exceed the batch's %d", len(b.Samples), cap(b.Sampled))
	}
	for i, r := range b.Samples {
		switch {
		case r.Slot < 0 || int(r.Slot) >= len(s.states):
			return fmt.Errorf("sample: sample %d is of slot %d of %d", i, r.Slot, len(s.states))
		case r.Logits < 0 || int(r.Logits) >= len(b.LogitRows):
			return fmt.Errorf("sample: sample %d wants logits row %d of %d", i, r.Logits, len(b.LogitRows))
		case r.Masked && (i+1)*b.MaskWords > len(b.Masks):
			return fmt.Errorf("sample: sample %d has no mask", i)
		}
	}
	b.Sampled = b.Sampled[:len(b.Samples)]
	for i, r := range b.Samples {
		var mask []uint32
		if r.Masked {
			mask = b.Masks[i*b.MaskWords : (i+1)*b.MaskWords]
		}
		out := &b.Sampled[i]
		s.sampler.Row(out, row(int(r.Logits)), &s.states[r.Slot], r.Pos, mask)
		if out.Err == nil {
			s.last[r.Slot] = out.Token
		}
	}
	return nil
}
