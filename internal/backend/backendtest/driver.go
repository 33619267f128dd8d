// Package backendtest holds the conformance suites that every backend passes:
// Run compares each op with the reference backend and with mathematics written
// down once more in float64, Models whole models with what transformers
// computed for them. It also has the Driver that tests run batches with.
package backendtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/reasond/reasond/internal/backend"
)

// Open makes an empty backend. The suites close it.
type Open func(backend.Config) (backend.Backend, error)

// Driver runs sequences on a backend step by step. It gives out KV pages in a
// random order, so that page ids mean nothing.
type Driver struct {
	B     backend.Backend
	vocab int
	free  []int32
}

// NewDriver drives b, which was built with cfg. Seed orders the pages.
func NewDriver(b backend.Backend, cfg backend.Config, seed uint64) *Driver {
	d := &Driver{B: b, vocab: b.Info().Vocab}
	for _, p := range rand.New(rand.NewPCG(seed, 1)).Perm(cfg.Pages) {
		d.free = append(d.free, int32(p))
	}
	return d
}

// Sequence is a sequence on the device.
type Sequence struct {
	Slot   int
	Length int // tokens in KV
	Pages  []int32
}

// Free takes a sequence's pages back. They are given out again last.
func (d *Driver) Free(s *Sequence) {
	d.free = append(d.free, s.Pages...)
	s.Pages, s.Length = nil, 0
}

// Part is one sequence's share of a step.
type Part struct {
	Seq    *Sequence
	Tokens []int32 // ids to append; negative: the last token sampled in slot ^id
	Want   int     // logits of so many last tokens
	Sample bool    // sample from the last one's, which Want must include
}

// Result is what a step gave for one part.
type Result struct {
	Logits  [][]float32 // [Want][vocab]
	Sampled backend.Sampled
}

// Step runs one step over the parts in order.
func (d *Driver) Step(parts ...Part) ([]Result, error) {
	if err := d.Fill(parts...); err != nil {
		return nil, err
	}
	if err := d.B.Forward(); err != nil {
		return nil, err
	}
	if err := d.B.Sample(); err != nil {
		return nil, err
	}
	if err := d.B.Sync(); err != nil {
		return nil, err
	}
	b := d.B.Batch()
	results := make([]Result, len(parts))
	row, sampled := 0, 0
	for i, p := range parts {
		for range p.Want {
			logits := make([]float32, d.vocab)
			if err := d.B.LogitsRow(logits, row); err != nil {
				return nil, err
			}
			results[i].Logits = append(results[i].Logits, logits)
			row++
		}
		if p.Sample {
			s := b.Sampled[sampled]
			s.Top = append(s.Top[:0:0], s.Top...)
			results[i].Sampled = s
			sampled++
		}
	}
	return results, nil
}

// Fill writes the parts into the batch and takes the pages they need, without
// running it.
func (d *Driver) Fill(parts ...Part) error {
	b := d.B.Batch()
	b.Rows = 0
	b.Token, b.Pos, b.Seq = b.Token[:0], b.Pos[:0], b.Seq[:0]
	b.Seqs, b.Pages, b.Copies = b.Seqs[:0], b.Pages[:0], b.Copies[:0]
	b.LogitRows, b.Samples, b.Masks = b.LogitRows[:0], b.Samples[:0], b.Masks[:0]
	for i, p := range parts {
		s := p.Seq
		first, count := b.Rows, len(p.Tokens)
		for j, id := range p.Tokens {
			b.Token = append(b.Token, id)
			b.Pos = append(b.Pos, int32(s.Length+j))
			b.Seq = append(b.Seq, int32(i))
		}
		b.Rows += count
		s.Length += count
		for len(s.Pages)*backend.PageTokens < s.Length {
			if len(d.free) == 0 {
				return fmt.Errorf("no page is free")
			}
			s.Pages = append(s.Pages, d.free[0])
			d.free = d.free[1:]
		}
		b.Seqs = append(b.Seqs, backend.Seq{
			Slot: int32(s.Slot), First: int32(first), Count: int32(count),
			Length: int32(s.Length), Table: int32(len(b.Pages)),
		})
		b.Pages = append(b.Pages, s.Pages[:(s.Length+backend.PageTokens-1)/backend.PageTokens]...)
		for j := range p.Want {
			b.LogitRows = append(b.LogitRows, int32(first+count-p.Want+j))
		}
		if p.Sample {
			b.Samples = append(b.Samples, backend.Sample{
				Slot: int32(s.Slot), Logits: int32(len(b.LogitRows) - 1), Pos: int32(s.Length),
			})
		}
	}
	return nil
}
