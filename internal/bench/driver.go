package bench

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// Driver steps sequences on a backend. Sequence i has slot i and the pages from
// i*PagesEach on.
type Driver struct {
	be    backend.Backend
	pages int
}

// PagesFor is how many pages a sequence of so many tokens takes.
func PagesFor(tokens int) int { return (tokens + backend.PageTokens - 1) / backend.PageTokens }

// NewDriver drives a backend on which each sequence has so many pages.
func NewDriver(be backend.Backend, pagesEach int) *Driver { return &Driver{be, pagesEach} }

// token is what sequences are made of: ids without meaning, of which none comes
// twice in a row. Every vocabulary has that many.
func token(pos int) int32 { return int32(3 + pos*7%89) }

// Bind gives the slots below n to new sequences, which sample greedily.
func (d *Driver) Bind(n int) {
	p := llm.DefaultSampling()
	p.Temperature = 0
	for i := range n {
		d.be.SetSlot(i, backend.Slot{Params: p, Prompt: []int32{token(i)}})
	}
}

// Prefill computes positions from to end-1 of sequence 0, at most chunk in a step,
// and samples behind the last.
func (d *Driver) Prefill(from, end, chunk int) error {
	for at := from; at < end; at += chunk {
		count := min(chunk, end-at)
		if err := d.step(0, 1, at, count, at+count == end); err != nil {
			return err
		}
	}
	return nil
}

// Decode appends to each sequence below n, of that length, the token sampled last
// in its slot, and samples the next.
func (d *Driver) Decode(n, length int) error { return d.step(0, n, length, 1, true) }

// Fork makes the first tokens of sequences 1 to n-1 equal to those of sequence 0,
// by copies of its pages, most in a step: each has memory of its own.
func (d *Driver) Fork(n, tokens, most int) error {
	pages := PagesFor(tokens)
	for seq := 1; seq < n; seq++ {
		for at := 0; at < pages; at += most {
			b := d.clear()
			for page := at; page < min(at+most, pages); page++ {
				b.Copies = append(b.Copies, backend.Copy{Src: int32(page), Dst: int32(seq*d.pages + page)})
			}
			// A step has rows; this one's rewrites what is there.
			d.add(b, 0, 0, 1, false)
			if err := d.run(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// step appends count tokens to sequences from to to-1, all of that length.
func (d *Driver) step(from, to, length, count int, sample bool) error {
	b := d.clear()
	for slot := from; slot < to; slot++ {
		d.add(b, slot, length, count, sample)
	}
	return d.run(b)
}

func (d *Driver) clear() *backend.Batch {
	b := d.be.Batch()
	b.Rows, b.Guided = 0, false
	b.Token, b.Pos, b.Seq = b.Token[:0], b.Pos[:0], b.Seq[:0]
	b.Seqs, b.Pages, b.Copies = b.Seqs[:0], b.Pages[:0], b.Copies[:0]
	b.LogitRows, b.Samples = b.LogitRows[:0], b.Samples[:0]
	return b
}

// add puts count rows of a sequence into the batch. A single row is of the token
// sampled last.
func (d *Driver) add(b *backend.Batch, slot, length, count int, sample bool) {
	first, end := b.Rows, length+count
	for i := range count {
		id := token(length + i)
		if sample && count == 1 {
			id = ^int32(slot)
		}
		b.Token, b.Pos, b.Seq = append(b.Token, id), append(b.Pos, int32(length+i)), append(b.Seq, int32(len(b.Seqs)))
	}
	b.Rows += count
	b.Seqs = append(b.Seqs, backend.Seq{Slot: int32(slot), First: int32(first), Count: int32(count), Length: int32(end), Table: int32(len(b.Pages))})
	for page := range PagesFor(end) {
		b.Pages = append(b.Pages, int32(slot*d.pages+page))
	}
	if sample {
		b.Samples = append(b.Samples, backend.Sample{Slot: int32(slot), Logits: int32(len(b.LogitRows)), Pos: int32(end)})
		b.LogitRows = append(b.LogitRows, int32(b.Rows-1))
	}
}

func (d *Driver) run(b *backend.Batch) error {
	b.Masks, b.Sampled = b.Masks[:0], b.Sampled[:len(b.Samples)]
	if err := d.be.Forward(); err != nil {
		return fmt.Errorf("bench: forward: %w", err)
	}
	if len(b.Samples) > 0 {
		if err := d.be.Sample(); err != nil {
			return fmt.Errorf("bench: sample: %w", err)
		}
	}
	if err := d.be.Sync(); err != nil {
		return fmt.Errorf("bench: sync: %w", err)
	}
	for i := range b.Sampled {
		if err := b.Sampled[i].Err; err != nil {
			return fmt.Errorf("bench: sequence %d: %w", i, err)
		}
	}
	return nil
}

// Score computes ids at positions from on of sequence 0, with the logits of all.
func (d *Driver) Score(ids []int32, from int) error {
	b := d.clear()
	d.add(b, 0, from, len(ids), false)
	copy(b.Token, ids)
	for i := range ids {
		b.LogitRows = append(b.LogitRows, int32(i))
	}
	return d.run(b)
}
