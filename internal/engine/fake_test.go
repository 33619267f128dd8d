package engine

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

const (
	fakeVocab = 300
	fakeEOS   = 7
)

// fakeBackend is a deterministic model without numbers: its KV pages hold token
// ids, and the next token is a hash of all ids read through the page table, of
// the sampling settings and of the tokens counted as generated. So any mistake
// in paging, prefixes, forks, placeholders or slot state changes the answer.
type fakeBackend struct {
	backend.Backend
	t       testing.TB
	cfg     backend.Config
	batch   backend.Batch
	pages   [][backend.PageTokens]int32
	slots   []fakeSlot
	context []uint64 // hash up to each wanted row
	wrote   map[[2]int32]bool
	steps   int
	decodes []int // rows of each step that only decodes

	forward func(step int) error       // called first, if set
	rowErr  func(s backend.Slot) error // an error for one row, if set
	onBatch func(b *backend.Batch)     // sees each filled batch, if set
	lie     func(id int32) int32       // what is sampled in place of the token, if set
	quiet   bool                       // for benchmarks: only the last token counts
	prefill atomic.Int64               // rows of items longer than one
}

type fakeSlot struct {
	backend.Slot
	count     int
	generated uint64 // sum over the generated tokens: their order does not matter
	last      int32
}

func newFake(t testing.TB, cfg backend.Config) *fakeBackend {
	f := &fakeBackend{t: t, cfg: cfg, pages: make([][backend.PageTokens]int32, cfg.Pages), slots: make([]fakeSlot, cfg.MaxSeqs), wrote: map[[2]int32]bool{}}
	words := (fakeVocab + 31) / 32
	f.batch = backend.Batch{
		Token: make([]int32, cfg.MaxRows), Pos: make([]int32, cfg.MaxRows), Seq: make([]int32, cfg.MaxRows),
		Seqs: make([]backend.Seq, cfg.MaxSeqs), Pages: make([]int32, cfg.MaxSeqs*cfg.MaxContext/backend.PageTokens),
		Copies: make([]backend.Copy, cfg.Pages), LogitRows: make([]int32, cfg.LogitRows()), Samples: make([]backend.Sample, cfg.Samples()),
		Masks: make([]uint32, cfg.Samples()*words), MaskWords: words, Sampled: make([]backend.Sampled, cfg.Samples()),
	}
	for i := range f.pages {
		for k := range f.pages[i] {
			f.pages[i][k] = -99 // poison
		}
	}
	return f
}

func (f *fakeBackend) Info() backend.Info {
	return backend.Info{Name: "fake", Vocab: fakeVocab, Drafts: true}
}
func (f *fakeBackend) Batch() *backend.Batch { return &f.batch }
func (f *fakeBackend) Sync() error           { return nil }
func (f *fakeBackend) Close() error          { return nil }

func (f *fakeBackend) SetSlot(slot int, s backend.Slot) {
	fs := fakeSlot{Slot: s, last: -99}
	for _, id := range s.Generated {
		fs.count++
		fs.generated += mix(uint64(id) + 1)
	}
	f.slots[slot] = fs
}

func (f *fakeBackend) Forward() error {
	f.steps++
	if f.forward != nil {
		if err := f.forward(f.steps); err != nil {
			return err
		}
	}
	b := &f.batch
	if f.onBatch != nil {
		f.onBatch(b)
	}
	for _, c := range b.Copies {
		f.pages[c.Dst] = f.pages[c.Src]
	}
	clear(f.wrote)
	only := true
	for i, q := range b.Seqs {
		table := b.Pages[q.Table : q.Table+(q.Length+backend.PageTokens-1)/backend.PageTokens]
		for r := q.First; r < q.First+q.Count; r++ {
			if int(b.Seq[r]) != i || b.Pos[r] != q.Length-q.Count+r-q.First {
				return fmt.Errorf("row %d: sequence %d, position %d", r, b.Seq[r], b.Pos[r])
			}
			id := b.Token[r]
			if id < 0 {
				if ^id != q.Slot {
					return fmt.Errorf("row %d of slot %d continues slot %d", r, q.Slot, ^id)
				}
				id = f.slots[^id].last
			}
			at := [2]int32{table[b.Pos[r]/backend.PageTokens], b.Pos[r] % backend.PageTokens}
			if f.wrote[at] {
				return fmt.Errorf("page %d, token %d is written twice in a step", at[0], at[1])
			}
			f.wrote[at] = true
			f.pages[at[0]][at[1]] = id
		}
		if q.Count > 1 {
			only = false
			f.prefill.Add(int64(q.Count))
		}
	}
	if only && !f.quiet {
		f.decodes = append(f.decodes, b.Rows)
	}
	f.context = f.context[:0]
	for _, r := range b.LogitRows {
		q := b.Seqs[b.Seq[r]]
		var h uint64
		first := int32(0)
		if f.quiet {
			first = b.Pos[r]
		}
		for pos := first; pos <= b.Pos[r]; pos++ {
			h = chainHash(h, f.pages[b.Pages[q.Table+pos/backend.PageTokens]][pos%backend.PageTokens])
		}
		f.context = append(f.context, h)
	}
	return nil
}

func (f *fakeBackend) Sample() error {
	b := &f.batch
	wrong := false
	for i, s := range b.Samples {
		slot := &f.slots[s.Slot]
		if wrong = s.Drafted && (wrong || b.Token[b.LogitRows[s.Logits]] != slot.last); wrong {
			b.Sampled[i] = backend.Sampled{Token: backend.NotTaken}
			continue
		}
		if f.rowErr != nil {
			if err := f.rowErr(slot.Slot); err != nil {
				b.Sampled[i] = backend.Sampled{Err: err}
				wrong = true
				continue
			}
		}
		var mask []uint32
		if s.Masked {
			mask = b.Masks[i*b.MaskWords : (i+1)*b.MaskWords]
		}
		id := fakeNext(f.context[s.Logits], &slot.Params, slot.Choice, int(s.Pos), slot.generated, slot.count, slot.EOS, mask)
		if f.lie != nil {
			id = f.lie(id)
		}
		slot.last = id
		slot.count++
		slot.generated += mix(uint64(id) + 1)
		b.Sampled[i] = backend.Sampled{Token: id, Logprob: -float32(id)}
	}
	return nil
}

func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func chainHash(h uint64, id int32) uint64 { return mix(h*31 + uint64(id) + 0x9e3779b97f4a7c15) }

// fakeNext is the model: context hash in, token out.
func fakeNext(h uint64, p *llm.SamplingParams, choice, pos int, generated uint64, count int, eos []int32, mask []uint32) int32 {
	if p.Temperature > 0 {
		h = mix(h + mix(p.Seed+uint64(choice)<<32) + uint64(pos))
	}
	if p.PresencePenalty != 0 {
		h = mix(h + generated)
	}
	id := int32(h % fakeVocab)
	for range fakeVocab {
		early := count < p.MinTokens && (slices.Contains(eos, id) || slices.Contains(p.StopIDs, id))
		if !early && (mask == nil || mask[id/32]>>(id%32)&1 == 1) {
			break
		}
		id = (id + 1) % fakeVocab
	}
	return id
}

// want is what the engine must answer: the model run by hand on one sequence.
func want(prompt []int32, p llm.SamplingParams, choice, limit int) ([]int32, llm.FinishReason) {
	var h, generated uint64
	for _, id := range prompt {
		h = chainHash(h, id)
	}
	var out []int32
	for {
		id := fakeNext(h, &p, choice, len(prompt)+len(out), generated, len(out), []int32{fakeEOS}, nil)
		out = append(out, id)
		if len(out) > p.MinTokens && (id == fakeEOS && !p.IgnoreEOS || slices.Contains(p.StopIDs, id)) {
			return out, llm.FinishStop
		}
		if len(out) == p.MaxTokens || len(prompt)+len(out) == limit {
			return out, llm.FinishLength
		}
		h = chainHash(h, id)
		generated += mix(uint64(id) + 1)
	}
}
