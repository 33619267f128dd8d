//go:build cuda && cgo && linux

package cuda

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/reasond/reasond/internal/backend"
	driver "github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/engine/sample"
	"github.com/reasond/reasond/internal/llm"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// sampling is the device's side of slots and sampling. Slots that were set wait
// on the host until flush sends them; what is sampled comes back by copyOut.
//
// Memory: a table of 2 bytes a token of the vocabulary for a slot is allocated
// when a sequence with a penalty, a bias or min_tokens is first bound to it, and
// kept. Where there is none left, that sequence's samples fail and no other's.
type sampling struct {
	mem     *memory
	maxSeqs int
	at      kernels.Sampling
	slots   []slotState

	waiting []binding // at most one a slot
	inbox   *driver.Pinned
	inboxAt kernels.Ptr
	deliver *driver.Launches // sample_set
	seen    []uint16         // [vocab], 0 between uses
	noted   []int32          // the ids where seen is not 0, while in use
	busy    []bool           // slots of a batch, while it is checked

	out *driver.Pinned // IDs, then Likely

	take func(bytes int64) (kernels.Ptr, error) // device memory for a slot
}

// newSampling allocates everything. at has Vocab, Stride, Count, Samples, Masks
// and Logits; the rest is filled in. load binds launches to the device's kernels.
func newSampling(m *memory, maxSeqs int, at kernels.Sampling, load func([]kernels.Launch) (*driver.Launches, error)) (*sampling, error) {
	at.MaxSeqs = maxSeqs
	s := &sampling{
		mem: m, maxSeqs: maxSeqs, at: at, slots: make([]slotState, maxSeqs),
		seen: make([]uint16, at.Vocab), busy: make([]bool, maxSeqs),
		take: func(bytes int64) (kernels.Ptr, error) { return m.alloc(activationMemory, bytes) },
	}
	for i := range s.slots {
		s.slots[i].likely = -1
	}
	inbox := s.inboxBytes()
	for _, part := range []struct {
		at    *kernels.Ptr
		bytes int64
	}{
		{&s.at.Slots, int64(maxSeqs) * kernels.SampleSlotBytes}, {&s.at.Best, kernels.SampleBestBytes(maxSeqs, at.Vocab)},
		{&s.at.Last, 4 * int64(maxSeqs)}, {&s.at.IDs, 4 * int64(maxSeqs)}, {&s.at.Likely, kernels.LikelyBytes * int64(maxSeqs)},
		{&s.inboxAt, inbox},
	} {
		var err error
		if *part.at, err = m.alloc(activationMemory, part.bytes); err != nil {
			return nil, err
		}
	}
	var err error
	if s.inbox, err = m.dev.Pinned(inbox); err != nil {
		return nil, lost(err)
	}
	if s.out, err = m.dev.Pinned(int64(maxSeqs) * (4 + kernels.LikelyBytes)); err != nil {
		return nil, lost(err)
	}
	set, err := kernels.SampleSets(maxSeqs, s.inboxAt, s.at.Slots, s.at.Last, at.Vocab)
	if err != nil {
		return nil, err
	}
	if s.deliver, err = load([]kernels.Launch{set}); err != nil {
		return nil, err
	}
	for slot := range s.slots { // no slot may hold garbage
		s.set(slot, backend.Slot{})
	}
	return s, nil
}

// inboxBytes is room for a short message for every slot and a longest one.
func (s *sampling) inboxBytes() int64 {
	const listed, entry = 8 + 4, 8 // a bias and an end; a table's entry
	return kernels.SampleInboxBytes(s.maxSeqs) + int64(s.maxSeqs)*(kernels.SampleMessageBytes+8) + int64(s.at.Vocab)*(listed+entry)
}

// launches are those of a step's second segment, for up to rows samples.
func (s *sampling) launches(rows int) ([]kernels.Launch, error) { return s.at.Launches(rows) }

// set binds a slot to a sequence from the next flush on. It does not touch the
// device.
func (s *sampling) set(slot int, v backend.Slot) {
	b := s.bind(slot, v)
	s.slots[slot].likely, s.slots[slot].err = b.state.Likely, nil
	for i := range s.waiting {
		if s.waiting[i].slot == slot {
			s.waiting[i] = b
			return
		}
	}
	s.waiting = append(s.waiting, b)
}

// flush sends what was set, in one copy and one launch; the stream is idle and
// not capturing. Only when more is waiting than the inbox holds does it block.
func (s *sampling) flush() error {
	for len(s.waiting) > 0 {
		n, size := 0, int(kernels.SampleInboxBytes(s.maxSeqs))
		for n < len(s.waiting) && n < s.maxSeqs {
			b := &s.waiting[n]
			if size+b.bytes() > len(s.inbox.Bytes) {
				break
			}
			s.place(b)
			binary.LittleEndian.PutUint32(s.inbox.Bytes[8+4*n:], uint32(size))
			size += len(b.append(s.inbox.Bytes[size:size]))
			n++
		}
		binary.LittleEndian.PutUint64(s.inbox.Bytes, uint64(n))
		if err := s.mem.stream.CopyIn(s.inboxAt, s.inbox.Bytes[:size]); err != nil {
			return lost(err)
		}
		if err := s.mem.stream.Launch(s.deliver); err != nil {
			return lost(err)
		}
		clear(s.waiting[:n])
		s.waiting = append(s.waiting[:0], s.waiting[n:]...)
		if len(s.waiting) > 0 {
			if err := s.mem.stream.Sync(); err != nil {
				return lost(err)
			}
		}
	}
	return nil
}

// place gives a binding the memory that it needs. Without it the slot's sequence
// fails, and the device is told of one that needs none.
func (s *sampling) place(b *binding) {
	slot := &s.slots[b.slot]
	if err := s.allocate(slot, b); err != nil {
		slot.err = fmt.Errorf("cuda: no memory for this request's penalties and biases: %w", err)
		b.lists, b.entries = nil, nil
		b.state.Biases, b.state.Ends, b.state.Counts = 0, 0, 0
		return
	}
	if len(b.entries) > 0 || b.state.Counts != 0 {
		b.state.Table = slot.table
	}
	b.state.Lists = slot.lists
}

func (s *sampling) allocate(slot *slotState, b *binding) (err error) {
	if slot.table == 0 && (len(b.entries) > 0 || b.state.Counts != 0) {
		if slot.table, err = s.take(2 * int64(s.at.Vocab+1)); err != nil {
			return err
		}
	}
	if need := len(b.lists); need > slot.listWords {
		words := max(64, 2*need) // the smaller one is lost until Close; doubling bounds that
		if slot.lists, err = s.take(4 * int64(words)); err != nil {
			slot.listWords = 0
			return err
		}
		slot.listWords = words
	}
	return nil
}

// bytes is the size of b's message, a multiple of 8.
func (b *binding) bytes() int {
	return (kernels.SampleMessageBytes + 4*len(b.lists) + 4*len(b.entries) + 7) &^ 7
}

func (b *binding) append(to []byte) []byte {
	size := b.bytes()
	for _, w := range []uint32{uint32(b.slot), uint32(len(b.lists)), uint32(len(b.entries) / 2), uint32(b.last)} {
		to = binary.LittleEndian.AppendUint32(to, w)
	}
	to = b.state.Append(to)
	for _, words := range [][]uint32{b.lists, b.entries} {
		for _, w := range words {
			to = binary.LittleEndian.AppendUint32(to, w)
		}
	}
	return to[:size]
}

// check refuses samples that would make a kernel read or write out of bounds.
// rows is how many logits rows the step has.
func (s *sampling) check(b *backend.Batch, rows int) error {
	if len(b.Samples) > min(s.maxSeqs, cap(b.Sampled)) {
		return fmt.Errorf("%d samples exceed the batch's %d", len(b.Samples), min(s.maxSeqs, cap(b.Sampled)))
	}
	clear(s.busy)
	for i, r := range b.Samples {
		switch {
		case r.Slot < 0 || int(r.Slot) >= s.maxSeqs:
			return fmt.Errorf("sample %d is of slot %d of %d", i, r.Slot, s.maxSeqs)
		case s.busy[r.Slot]: // rows are sampled at the same time
			return fmt.Errorf("sample %d is of slot %d, as one before it", i, r.Slot)
		case r.Logits < 0 || int(r.Logits) >= rows:
			return fmt.Errorf("sample %d wants logits row %d of %d", i, r.Logits, rows)
		case r.Masked && (i+1)*b.MaskWords > len(b.Masks):
			return fmt.Errorf("sample %d has no mask", i)
		}
		s.busy[r.Slot] = true
	}
	return nil
}

// copyOut brings back the ids of up to rows samples. It may be captured.
func (s *sampling) copyOut(rows int) error {
	return s.mem.stream.CopyOut(s.out.Bytes[:4*rows], s.at.IDs)
}

// copyLikely brings back the log-probabilities, if a sample's slot asks for any.
// Which ones do differs from step to step: it is not for capturing.
func (s *sampling) copyLikely(b *backend.Batch) error {
	for n := len(b.Samples); n > 0; n-- {
		if s.slots[b.Samples[n-1].Slot].likely >= 0 {
			return s.mem.stream.CopyOut(s.out.Bytes[4*s.maxSeqs:][:kernels.LikelyBytes*n], s.at.Likely)
		}
	}
	return nil
}

// collect fills in b.Sampled from what was copied back, after a Sync.
func (s *sampling) collect(b *backend.Batch) {
	ids := unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(s.out.Bytes))), s.maxSeqs)
	b.Sampled = b.Sampled[:len(b.Samples)]
	for i := range b.Samples {
		slot, out := &s.slots[b.Samples[i].Slot], &b.Sampled[i]
		*out = backend.Sampled{Top: out.Top[:0]}
		switch {
		case slot.err != nil:
			out.Err = slot.err
		case ids[i] == kernels.SampledNaN:
			out.Err = sample.ErrNaN
		case ids[i] < 0:
			out.Err = sample.ErrNothing
		default:
			out.Token = ids[i]
			if slot.likely >= 0 {
				s.collectLikely(out, i)
			}
		}
	}
}

// collectLikely reads sample i's log-probabilities.
func (s *sampling) collectLikely(out *backend.Sampled, i int) {
	type row struct { // of kernels.LikelyBytes
		logprob  float32
		n        int32
		ids      [kernels.MaxLikely]int32
		logprobs [kernels.MaxLikely]float32
	}
	r := (*row)(unsafe.Pointer(&s.out.Bytes[4*s.maxSeqs+kernels.LikelyBytes*i]))
	out.Logprob = r.logprob
	for k := range min(max(r.n, 0), kernels.MaxLikely) {
		out.Top = append(out.Top, llm.TokenLogprob{ID: r.ids[k], Logprob: r.logprobs[k]})
	}
}
