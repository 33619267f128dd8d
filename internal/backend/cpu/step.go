package cpu

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/reasond/reasond/internal/backend"
)

// newBatch lays the batch's slices over the machine's arrays, so that Forward
// passes nothing.
func (b *Backend) newBatch() {
	a := b.machine.Batch()
	b.arrays = a
	b.batch = backend.Batch{
		Token: a.Token[:0], Pos: a.Pos[:0], Seq: a.Seq[:0], LogitRows: a.LogitRows[:0], Pages: a.Pages[:0],
		Seqs: alias[backend.Seq](a.Seqs), Copies: alias[backend.Copy](a.Copies),
		Samples: make([]backend.Sample, 0, b.cfg.Samples()),
		Sampled: make([]backend.Sampled, 0, b.cfg.Samples()),
	}
}

// Batch implements backend.Backend.
func (b *Backend) Batch() *backend.Batch { return &b.batch }

// SetSlot implements backend.Backend. It panics on a slot that is not there.
func (b *Backend) SetSlot(slot int, s backend.Slot) { b.slots.Set(slot, s) }

// Forward implements backend.Backend.
func (b *Backend) Forward() error {
	b.rows = 0
	if !b.built {
		return errors.New("cpu: Forward before Build")
	}
	if err := b.batch.Check(b.cfg, b.tokens, b.slots.Last); err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
	t, a := &b.batch, &b.arrays
	settle(a.Token, t.Token)
	settle(a.Pos, t.Pos)
	settle(a.Seq, t.Seq)
	settle(a.LogitRows, t.LogitRows)
	settle(a.Pages, t.Pages)
	settle(alias[backend.Seq](a.Seqs), t.Seqs)
	settle(alias[backend.Copy](a.Copies), t.Copies)
	for r := range t.Rows {
		if id := t.Token[r]; id < 0 {
			a.Last[^id] = b.slots.Last(^id)
		}
	}
	b.turn(a.Pos[:t.Rows])
	b.machine.SetCounts(t.Rows, len(t.Seqs), len(t.Copies), len(t.LogitRows))
	if b.group == nil {
		b.machine.Forward()
	} else if err := b.forwardWithOthers(); err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
	b.rows = len(t.LogitRows)
	return nil
}

// settle copies a batch slice that a caller put elsewhere to the array that the
// kernels read. Usually it is that array.
func settle[T any](array, s []T) {
	if unsafe.SliceData(array) != unsafe.SliceData(s) {
		copy(array[:len(s)], s)
	}
}

// Sample implements backend.Backend.
func (b *Backend) Sample() error { return b.slots.Sample(&b.batch, b.row) }

// Sync implements backend.Backend: nothing is ever pending.
func (b *Backend) Sync() error { return nil }

func (b *Backend) logitsRow(i int) []float32 { return b.logits[i*b.ld:][:b.vocab] }

// LogitsRow implements backend.Backend.
func (b *Backend) LogitsRow(dst []float32, i int) error {
	if i < 0 || i >= b.rows || len(dst) != b.vocab {
		return fmt.Errorf("cpu: logits row %d of %d into %d floats", i, b.rows, len(dst))
	}
	copy(dst, b.logitsRow(i))
	return nil
}
