package bench

import (
	"fmt"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// Driver steps sequences on a backend as an engine's runner does. Sequence i has
// slot i and as many pages as the longest context takes, those of the sequences one
// behind the other.
type Driver struct {
	be     backend.Backend
	pages  int // of each sequence
	chunk  int // most rows of a step of a prompt
	copies int // most page copies of a step
}

// PagesFor is how many pages a sequence of so many tokens takes.
func PagesFor(tokens int) int { return (tokens + backend.PageTokens - 1) / backend.PageTokens }

// NewDriver drives a backend of that configuration, with at most chunk rows of a
// prompt in a step.
func NewDriver(be backend.Backend, cfg backend.Config, chunk int) *Driver {
	return &Driver{be: be, pages: cfg.MaxContext / backend.PageTokens, chunk: chunk, copies: cfg.MaxCopies()}
}

// token is what sequences are made of: ids without meaning, of which none comes
// twice in a row. Every vocabulary has that many.
func token(pos int) int32 { return int32(3 + pos*7%89) }

// bind gives the slots below n to new sequences, which sample greedily.
func (d *Driver) bind(n int) {
	p := llm.DefaultSampling()
	p.Temperature = 0
	for i := range n {
		d.be.SetSlot(i, backend.Slot{Params: p, Prompt: []int32{token(i)}})
	}
}

// Prepare makes sequences 0 to n-1 anew, each of depth tokens with memory of its
// own.
func (d *Driver) Prepare(n, depth int) error {
	d.bind(n)
	if depth == 0 {
		return nil
	}
	if err := d.prefill(0, depth); err != nil {
		return err
	}
	return d.fork(n, depth)
}

// Prefill is the time of computing so many tokens of sequence 0 behind depth
// others, and of sampling the next.
func (d *Driver) Prefill(depth, tokens int) (time.Duration, error) {
	d.bind(1)
	start := time.Now()
	err := d.prefill(depth, depth+tokens)
	return time.Since(start), err
}

// Decode is the time of so many steps of n sequences, which have depth tokens
// before the first. Each appends to each sequence the token sampled last in its
// slot; the first ones differ.
func (d *Driver) Decode(n, depth, steps int) (time.Duration, error) {
	d.bind(n)
	start := time.Now()
	for i := range steps {
		if err := d.step(0, n, depth+i, 1, true); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// prefill computes positions from to end-1 of sequence 0 and samples behind the
// last.
func (d *Driver) prefill(from, end int) error {
	for at := from; at < end; at += d.chunk {
		count := min(d.chunk, end-at)
		if err := d.step(0, 1, at, count, at+count == end); err != nil {
			return err
		}
	}
	return nil
}

// fork makes the first tokens of sequences 1 to n-1 equal to those of sequence 0,
// by copies of its pages.
func (d *Driver) fork(n, tokens int) error {
	pages := PagesFor(tokens)
	for seq := 1; seq < n; seq++ {
		for at := 0; at < pages; at += d.copies {
			b := d.clear()
			for page := at; page < min(at+d.copies, pages); page++ {
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

// score computes ids at positions from on of sequence 0, with the logits of all.
func (d *Driver) score(ids []int32, from int) error {
	b := d.clear()
	d.add(b, 0, from, len(ids), false)
	copy(b.Token, ids)
	for i := range ids {
		b.LogitRows = append(b.LogitRows, int32(i))
	}
	return d.run(b)
}
