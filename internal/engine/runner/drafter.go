package runner

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/sched"
	"github.com/reasond/reasond/internal/llm"
)

// Ahead is what the draft model does for an item before the model's step. It lets the
// draft model catch up and, perhaps, writes the item's guesses.
type Ahead struct {
	// The positions From to To-1 are computed, all of them the sequence's own; nothing
	// where they are equal. Tokens are the sequence's, those before the item's at least.
	From, To int
	Tokens   []int32
	// Guesses is how many of the item's guesses are to be made; To is then where the
	// first one stands. 0: the item's guesses, if any, are known.
	Guesses int
}

// Pass is one run of the draft model that sampled.
type Pass struct {
	Rows int
	Took time.Duration
}

// drafter is a smaller model of the same vocabulary that guesses at what the model
// will sample. Its pages have the model's numbers. The first fault ends it: from then
// on it makes no guess. The zero value makes none either.
type drafter struct {
	be    backend.Backend // nil: there is none, or it had a fault
	vocab int32           // ids that both models know
	last  []int32         // by slot: what the model sampled last
	ends  []ends          // by slot
	items []int           // that want a further guess; index in Plan.Items
}

// ends are the tokens behind which a slot's sequence does not go on.
type ends struct{ eos, stop []int32 }

// newDrafter makes one that guesses for a model; be may be nil.
func newDrafter(be, model backend.Backend) drafter {
	if be == nil {
		return drafter{}
	}
	return drafter{be: be, vocab: int32(min(be.Info().Vocab, model.Info().Vocab))}
}

// run does what the step has for the draft model; a fault of it is Step.DraftErr, and
// no guess is made then.
func (d *drafter) run(s *Step) {
	s.DraftErr, s.DraftTook, s.Passes = nil, 0, s.Passes[:0]
	s.made = grown(s.made, len(s.Plan.Items))
	clear(s.made)
	if d.be == nil || len(s.Ahead) == 0 {
		return
	}
	start := time.Now()
	if s.DraftErr = d.try(s); s.DraftErr != nil {
		clear(s.made)
		d.be = nil
	}
	s.DraftTook = time.Since(start)
}

func (d *drafter) try(s *Step) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	for _, b := range s.Binds {
		d.bind(b)
	}
	if err := d.first(s); err != nil {
		return err
	}
	for pass := 1; len(d.items) > 0; pass++ {
		if err := d.further(s, pass); err != nil {
			return err
		}
	}
	return nil
}

// bind has the draft model draw as the model does: with the same seeds, from what the
// same parameters leave of its own distribution.
func (d *drafter) bind(b Bind) {
	for len(d.last) <= b.Slot {
		d.last, d.ends = append(d.last, 0), append(d.ends, ends{})
	}
	p, state := b.State.Params, b.State
	state.Params = llm.SamplingParams{Seed: p.Seed, Temperature: p.Temperature, TopK: p.TopK, TopP: p.TopP, MinP: p.MinP,
		RepetitionPenalty: 1, MinTokens: p.MinTokens, StopIDs: p.StopIDs, IgnoreEOS: p.IgnoreEOS}
	state.Prompt = nil
	d.be.SetSlot(b.Slot, state)
	e := ends{stop: p.StopIDs}
	if !p.IgnoreEOS {
		e.eos = state.EOS
	}
	d.ends[b.Slot] = e
}

// first lets the draft model catch up, the copies of pages before all, and makes each
// item's first guess.
func (d *drafter) first(s *Step) error {
	b := d.begin()
	for _, c := range s.DraftCopies {
		b.Copies = append(b.Copies, backend.Copy{Src: int32(c.Src), Dst: int32(c.Dst)})
	}
	for i := range s.Ahead {
		a, it := &s.Ahead[i], &s.Plan.Items[i]
		if a.From >= a.To {
			continue
		}
		d.sequence(b, it, a.From, a.To)
		for pos := a.From; pos < a.To; pos++ {
			d.row(b, d.token(a, it, pos), pos)
		}
		d.want(b, i, it, a)
	}
	if b.Rows == 0 && len(b.Copies) == 0 {
		return nil
	}
	return d.sample(s, b)
}

// further computes the guesses of the pass before, where more are wanted.
func (d *drafter) further(s *Step, pass int) error {
	b := d.begin()
	items := d.items
	d.items = d.items[:0]
	for _, i := range items {
		a, it := &s.Ahead[i], &s.Plan.Items[i]
		pos := a.To + pass - 1
		d.sequence(b, it, pos, pos+1)
		d.row(b, it.Tokens[pos-it.Start], pos)
		d.want(b, i, it, a)
	}
	return d.sample(s, b)
}

// begin empties the batch.
func (d *drafter) begin() *backend.Batch {
	b := d.be.Batch()
	b.Rows, b.Guided = 0, false
	b.Token, b.Pos, b.Seq = b.Token[:0], b.Pos[:0], b.Seq[:0]
	b.Seqs, b.Pages, b.Copies = b.Seqs[:0], b.Pages[:0], b.Copies[:0]
	b.LogitRows, b.Samples = b.LogitRows[:0], b.Samples[:0]
	return b
}

// sequence begins an item's part of the batch.
func (d *drafter) sequence(b *backend.Batch, it *sched.Item, from, to int) {
	b.Seqs = append(b.Seqs, backend.Seq{Slot: int32(it.Slot), First: int32(b.Rows), Count: int32(to - from), Length: int32(to), Table: int32(len(b.Pages))})
	for _, page := range it.Tables[0][:(to+backend.PageTokens-1)/backend.PageTokens] {
		b.Pages = append(b.Pages, int32(page))
	}
}

func (d *drafter) row(b *backend.Batch, id int32, pos int) {
	b.Token = append(b.Token, id)
	b.Pos = append(b.Pos, int32(pos))
	b.Seq = append(b.Seq, int32(len(b.Seqs)-1))
	b.Rows++
}

// token is the sequence's token at a position. One that the draft model does not know
// is as good as any: nothing hangs on it but a guess.
func (d *drafter) token(a *Ahead, it *sched.Item, pos int) int32 {
	if pos < it.Start {
		return d.known(a.Tokens[pos])
	}
	id := it.Tokens[pos-it.Start]
	if id < 0 {
		id = d.last[^id]
	}
	return d.known(id)
}

func (d *drafter) known(id int32) int32 {
	if id >= d.vocab {
		return 0
	}
	return id
}

// want asks for a guess behind the item's last row.
func (d *drafter) want(b *backend.Batch, i int, it *sched.Item, a *Ahead) {
	if a.Guesses == 0 {
		return
	}
	last := len(b.Token) - 1
	b.Samples = append(b.Samples, backend.Sample{Slot: int32(it.Slot), Logits: int32(len(b.LogitRows)), Pos: b.Pos[last] + 1})
	b.LogitRows = append(b.LogitRows, int32(last))
	d.items = append(d.items, i)
}

// sample runs the batch and writes the guesses into their items. Those that want
// another one remain in d.items.
func (d *drafter) sample(s *Step, b *backend.Batch) error {
	start := time.Now()
	b.Sampled, b.Masks = b.Sampled[:len(b.Samples)], b.Masks[:0]
	if err := d.be.Forward(); err != nil {
		return fmt.Errorf("draft model: forward: %w", err)
	}
	if len(b.Samples) > 0 {
		if err := d.be.Sample(); err != nil {
			return fmt.Errorf("draft model: sample: %w", err)
		}
	}
	if err := d.be.Sync(); err != nil {
		return fmt.Errorf("draft model: sync: %w", err)
	}
	if len(b.Samples) > 0 {
		s.Passes = append(s.Passes, Pass{b.Rows, time.Since(start)})
	}
	if len(b.Sampled) < len(b.Samples) {
		return errors.New("draft model: tokens are missing")
	}
	items := d.items
	d.items = d.items[:0]
	for k, i := range items {
		if err := b.Sampled[k].Err; err != nil {
			return fmt.Errorf("draft model: %w", err)
		}
		if d.put(s, i, b.Sampled[k].Token) {
			d.items = append(d.items, i)
		}
	}
	return nil
}

// put takes a guess and reports whether another is wanted behind it. None is made of
// a token that the model does not have, or behind which nothing follows.
func (d *drafter) put(s *Step, i int, id int32) (more bool) {
	it, a := &s.Plan.Items[i], &s.Ahead[i]
	e := &d.ends[it.Slot]
	if id < 0 || id >= d.vocab || slices.Contains(e.eos, id) || slices.Contains(e.stop, id) {
		return false
	}
	it.Tokens[a.To-it.Start+s.made[i]] = id
	s.made[i]++
	return s.made[i] < a.Guesses
}

// note remembers what the model has sampled: the next item may stand on it.
func (d *drafter) note(s *Step) {
	if d.be == nil {
		return
	}
	for i := range s.Results {
		if ids, slot := s.Results[i].Tokens, s.Plan.Items[i].Slot; len(ids) > 0 && slot < len(d.last) {
			d.last[slot] = ids[len(ids)-1]
		}
	}
}
