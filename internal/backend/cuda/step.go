//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// step is how far the running step has come.
type step struct {
	stage  stage
	shape  shape
	copied int // words of the arena that the step uses
	logits int // logits rows that the step has or will have
}

type stage int

const (
	idle      stage = iota // nothing is enqueued that Sync has not seen
	held                   // Forward has filled the arena, nothing is enqueued
	forwarded              // the forward is enqueued
	sampled                // sampling too
)

// Batch implements backend.Backend. After Build its slices lie in the arena.
func (b *Backend) Batch() *backend.Batch { return &b.batch }

// SetSlot implements backend.Backend. It panics on a slot that is not there, and
// before Build.
func (b *Backend) SetSlot(slot int, s backend.Slot) { b.sampling.set(slot, s) }

// Forward implements backend.Backend. Unless the batch is guided nothing is
// enqueued: Sample or Sync launches forward and sample together.
func (b *Backend) Forward() error {
	b.step = step{}
	if !b.built {
		return errors.New("cuda: Forward before Build")
	}
	t := &b.batch
	if err := t.Check(b.cfg, b.tokens, nil); err != nil {
		return fmt.Errorf("cuda: %w", err)
	}
	if len(t.Samples) > b.cfg.MaxSeqs {
		return fmt.Errorf("cuda: batch: %d samples, at most %d", len(t.Samples), b.cfg.MaxSeqs)
	}
	work := b.arena.put(t, b.planner)
	b.step = step{
		stage:  held,
		shape:  b.program.shape(t.Rows, len(t.LogitRows), len(t.Samples), work.Wide > 0),
		copied: b.arena.at.pages + len(t.Pages), logits: len(t.LogitRows),
	}
	if !t.Guided {
		return nil
	}
	return b.launch(func() error {
		if err := b.begin(); err != nil {
			return err
		}
		b.step.stage = forwarded
		return b.forward(b.step.shape)
	})
}

// launch runs f with the context current. After an error the step is over.
func (b *Backend) launch(f func() error) error {
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	if err := f(); err != nil {
		b.step = step{}
		return lost(err)
	}
	return nil
}

// begin brings the slots and the arena over and copies pages.
func (b *Backend) begin() error {
	if err := b.sampling.flush(); err != nil {
		return err
	}
	if err := b.stream.CopyIn(b.arena.base, b.arena.bytes(0, b.step.copied)); err != nil {
		return err
	}
	if len(b.batch.Copies) > 0 {
		return b.program.copies.run(b.stream)
	}
	return nil
}

// Sample implements backend.Backend.
func (b *Backend) Sample() error {
	if b.step.stage != held && b.step.stage != forwarded {
		return errors.New("cuda: Sample without a Forward")
	}
	if err := b.sampling.check(&b.batch, b.step.logits); err != nil {
		return fmt.Errorf("cuda: %w", err)
	}
	if len(b.batch.Samples) == 0 {
		b.batch.Sampled = b.batch.Sampled[:0]
		return nil
	}
	return b.launch(b.enqueueSample)
}

func (b *Backend) enqueueSample() error {
	masked := b.arena.putSamples(&b.batch)
	if b.step.stage == held {
		if err := b.begin(); err != nil {
			return err
		}
	} else if err := b.stream.CopyIn(b.arena.ptr(b.arena.at.samples), b.arena.bytes(b.arena.at.samples, b.arena.at.hdr)); err != nil {
		return err
	}
	if masked {
		if err := b.copyMasks(); err != nil {
			return err
		}
	}
	run := b.whole
	if b.step.stage == forwarded {
		run = b.sample
	}
	if err := run(b.step.shape); err != nil {
		return err
	}
	if err := b.sampling.copyOut(len(b.batch.Samples)); err != nil {
		return err
	}
	if err := b.sampling.copyLikely(&b.batch); err != nil {
		return err
	}
	b.step.stage = sampled
	return nil
}

func (b *Backend) copyMasks() error {
	n := min(len(b.batch.Masks), len(b.masks))
	settle(b.masks, b.batch.Masks[:n])
	return b.stream.CopyIn(b.masksAt, bytesOf(b.masks[:n]))
}

// Sync implements backend.Backend.
func (b *Backend) Sync() error {
	if b.step.stage == idle {
		return nil
	}
	return b.launch(b.finish)
}

// finish enqueues a forward that is still held back, waits, and reads what was
// sampled.
func (b *Backend) finish() error {
	if b.step.stage == held {
		if err := b.begin(); err != nil {
			return err
		}
		if err := b.forward(b.step.shape); err != nil {
			return err
		}
	}
	if err := b.stream.Sync(); err != nil {
		return err
	}
	if b.step.stage != sampled {
		b.step.stage = forwarded // its logits can still be sampled from
		return nil
	}
	b.sampling.collect(&b.batch)
	b.step.stage = idle
	return nil
}

// LogitsRow implements backend.Backend. It waits for the step.
func (b *Backend) LogitsRow(dst []float32, i int) error {
	if i < 0 || i >= b.step.logits || len(dst) != b.vocab {
		return fmt.Errorf("cuda: logits row %d of %d into %d floats", i, b.step.logits, len(dst))
	}
	if err := b.Sync(); err != nil {
		return err
	}
	return b.launch(func() error {
		row := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), 4*len(dst))
		if err := b.stream.CopyOut(row, b.logits.Ptr+kernels.Ptr(4*i*b.vocab)); err != nil {
			return err
		}
		return b.stream.Sync()
	})
}
