//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Build implements backend.Backend:
//
//  1. The model's ops are recorded and their shapes checked.
//  2. Buffers get their types, and memory.
//  3. A step without rows runs in the largest bucket, so that the driver has
//     loaded every kernel, and the KV pages get what memory is left.
//  4. The launches of every bucket are made, and the graphs of decoding captured.
func (b *Backend) Build(model func(backend.Program)) error {
	if b.built {
		return errors.New("cuda: a backend holds one program")
	}
	r := &recorder{b: b}
	model(r) // 1
	if r.err == nil && b.head == nil {
		r.fail(errors.New("the program has no Logits"))
	}
	if r.err != nil {
		return r.err
	}
	b.ops = r.ops
	if err := b.newPlanner(r.work); err != nil {
		return err
	}
	if err := decide(append(b.ops[:len(b.ops):len(b.ops)], b.head)); err != nil {
		return err
	}
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	for _, stage := range []func() error{b.allocate, b.warmUp, b.share, b.allocateKV, b.prepare} { // 2, 3, 4
		if err := stage(); err != nil {
			return lost(err)
		}
	}
	b.built = true
	return nil
}

// allocate makes the buffers, the scratch memory that layers share, the arena
// and the sampler.
func (b *Backend) allocate() error {
	rows := int64(b.cfg.MaxRows)
	for _, list := range [][]*buffer{b.buffers, b.scratch} {
		for _, buf := range list {
			if err := b.mem.make(&buf.ptr, activationMemory, rows*int64(buf.cols)*buf.bytes()); err != nil {
				return err
			}
		}
	}
	b.logits = kernels.Buffer{Elem: kernels.ElemF32, Cols: b.vocab}
	if err := b.mem.make(&b.logits.Ptr, activationMemory, 4*int64(b.cfg.LogitRows())*int64(b.vocab)); err != nil {
		return err
	}
	if err := b.allocateProducts(); err != nil {
		return err
	}
	if err := b.allocateExperts(); err != nil {
		return err
	}
	most := kernels.Work{}
	if b.planner != nil {
		most = b.planner.Capacity(b.cfg.MaxRows)
		if err := b.mem.make(&b.partials, activationMemory, b.partialBytes); err != nil {
			return err
		}
	}
	return b.allocateBatch(most)
}

// allocateBatch makes the arena, the masks and the sampler.
func (b *Backend) allocateBatch(most kernels.Work) error {
	words, seqs := (b.vocab+31)/32, b.cfg.MaxSeqs
	l := newLayout(b.cfg, most)
	pinned, err := b.mem.dev.Pinned(4 * int64(l.words))
	if err != nil {
		return err
	}
	var base, masksAt kernels.Ptr
	if err := b.mem.make(&base, activationMemory, 4*int64(l.words)); err != nil {
		return err
	}
	if err := b.mem.make(&masksAt, activationMemory, 4*int64(seqs*words)); err != nil {
		return err
	}
	masks, err := b.mem.dev.Pinned(4 * int64(seqs*words))
	if err != nil {
		return err
	}
	a := newArena(b.cfg, l, most, pinned.Bytes, base)
	b.arena, b.masks, b.masksAt = a, wordsOf(masks.Bytes), masksAt
	b.sampling, err = newSampling(&b.mem, seqs, kernels.Sampling{
		Vocab: b.vocab, Stride: b.vocab, Count: a.count(kernels.HeaderSamples),
		Samples: a.ptr(a.at.samples), Masks: masksAt, Logits: b.logits.Ptr,
	}, b.bind)
	if err != nil {
		return err
	}
	b.where = a.batch(masksAt, b.sampling.at.Last)
	b.batch = backend.Batch{
		Token: a.token[:0], Pos: a.pos[:0], Seq: a.seq[:0], LogitRows: a.logitRows[:0], Pages: a.pages[:0],
		Seqs: a.seqs[:0], Copies: a.copies[:0], Masks: b.masks[:0], MaskWords: words,
		Samples: make([]backend.Sample, 0, seqs),
		Sampled: make([]backend.Sampled, 0, seqs),
	}
	return nil
}

// bind makes launches of this device's kernels, which Close frees.
func (b *Backend) bind(launches []kernels.Launch) (*driver.Launches, error) {
	bound, err := b.module.Bind(launches...)
	if err != nil {
		return nil, err
	}
	l, err := driver.NewLaunches(bound)
	if err == nil {
		b.launches = append(b.launches, l)
	}
	return l, err
}

// warmUp runs the largest bucket with a batch of no rows: kernels come and find
// nothing to do.
func (b *Backend) warmUp() error {
	b.kv.pretend(b.arena.base)
	e := b.emitter(b.cfg.MaxRows)
	if err := b.emitBody(e); err != nil {
		return err
	}
	body, err := e.segment()
	if err != nil {
		return err
	}
	b.arena.put(&b.batch, b.planner)
	if err := b.stream.CopyIn(b.arena.base, b.arena.bytes(0, b.arena.at.pages)); err != nil {
		return err
	}
	if err := b.sampling.flush(); err != nil {
		return err
	}
	if err := body.run(b.stream); err != nil {
		return err
	}
	return b.stream.Sync()
}

// emitter begins a segment for a bucket of rows.
func (b *Backend) emitter(rows int) *emitter { return &emitter{b: b, rows: rows, batch: b.where} }

func (b *Backend) emitBody(e *emitter) error {
	for i, o := range b.ops {
		if err := o.emit(e); err != nil {
			return fmt.Errorf("op %d: %w", i, err)
		}
	}
	return nil
}

// prepare makes all segments, and captures the graphs of steps without masks.
func (b *Backend) prepare() error {
	p := &b.program
	p.buckets = buckets(b.cfg.MaxRows)
	graphRows := bucketOf(p.buckets, min(b.cfg.MaxSeqs, maxGraphRows)) + 1
	for _, rows := range p.buckets {
		segments := [4]segment{}
		for i, emit := range []func(e *emitter) error{
			b.emitBody,
			func(e *emitter) error { e.narrow = true; return b.emitBody(e) },
			func(e *emitter) error { e.rows = min(rows, b.cfg.LogitRows()); return b.head.emit(e) },
			func(e *emitter) error { return e.launch(b.sampling.launches(min(rows, b.cfg.MaxSeqs))) },
		} {
			e := b.emitter(rows)
			err := emit(e)
			if err == nil {
				segments[i], err = e.segment()
			}
			if err != nil {
				return fmt.Errorf("cuda: %d rows: %w", rows, err)
			}
		}
		p.bodies, p.narrow = append(p.bodies, segments[0]), append(p.narrow, segments[1])
		p.heads, p.samples = append(p.heads, segments[2]), append(p.samples, segments[3])
	}
	p.graphs = make([]graphs, graphRows)
	if err := b.prepareCopies(); err != nil {
		return err
	}
	for i := range p.graphs {
		exec, err := b.capture(p.parts(i, wholeGraph))
		if err != nil {
			return err
		}
		p.graphs[i][wholeGraph] = exec
	}
	return nil
}

// maxGraphRows is the most rows of a bucket that has graphs: larger steps take
// so long that launching their kernels one by one hides behind them.
const maxGraphRows = 256

// prepareCopies makes the launch that copies pages.
func (b *Backend) prepareCopies() error {
	if b.kv.layers == 0 {
		return nil
	}
	l, err := kernels.CopyPages(b.where, b.kv.table, b.kv.count(), int(b.kv.pageBytes()))
	if err != nil {
		return err
	}
	launches, err := b.bind([]kernels.Launch{l})
	b.program.copies = segment{{launches: launches}}
	return err
}
