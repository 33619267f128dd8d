//go:build cuda && cgo && linux

package cuda

import (
	"unsafe"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// The arena is the batch as kernels read it: int32 arrays at fixed places, twice,
// in pinned memory and on the device. One copy a step brings over everything up
// to the last page in use:
//
//	samples   [MaxSeqs][4]    slot, logits row, position, masked
//	hdr       [16]            see the hdr… constants
//	token     [MaxRows]       id, or ^slot: the last token sampled there
//	pos       [MaxRows]
//	seq       [MaxRows]       index into seqs
//	seqs      [MaxSeqs][5]    slot, first row, rows, length, index into pages
//	copies    [MaxCopies][2]  source and destination page
//	logitRows [MaxLogits]     row of logits row i
//	narrow, wide, merges      attention's work, see kernels.Planner
//	pages     [MaxTable]      the page tables, one behind the other
//
// Rows beyond hdr's counts hold what earlier steps left. samples come first so
// that a guided step can bring them once more, when the masks are known.
type arena struct {
	host []int32
	at   layout
	base kernels.Ptr

	token, pos, seq, logitRows, pages []int32
	seqs                              []backend.Seq
	copies                            []backend.Copy
	seqWords                          []int32 // seqs as words
	narrow, wide, merges              []int32
}

const sampleWords = 4

// layout has the parts' offsets in words; each begins on 16 bytes.
type layout struct {
	samples, hdr, token, pos, seq, seqs, copies, logitRows, narrow, wide, merges, pages, words int
}

// newLayout is the layout where attention has at most so much work.
func newLayout(c backend.Config, most kernels.Work) layout {
	var l layout
	for _, part := range []struct {
		at    *int
		words int
	}{
		{&l.samples, sampleWords * c.MaxSeqs}, {&l.hdr, kernels.HeaderWords},
		{&l.token, c.MaxRows}, {&l.pos, c.MaxRows}, {&l.seq, c.MaxRows},
		{&l.seqs, kernels.SeqWords * c.MaxSeqs}, {&l.copies, 2 * c.MaxCopies()},
		{&l.logitRows, c.LogitRows()},
		{&l.narrow, kernels.ItemWords * most.Narrow}, {&l.wide, kernels.ItemWords * most.Wide}, {&l.merges, kernels.MergeWords * most.Merges},
		{&l.pages, c.MaxTable()},
	} {
		*part.at = l.words
		l.words += (max(part.words, 1) + 3) &^ 3
	}
	return l
}

// newArena lays the arrays over pinned memory and a device's copy of it, both of
// layout.words words.
func newArena(c backend.Config, l layout, most kernels.Work, pinned []byte, base kernels.Ptr) *arena {
	host := unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(pinned))), l.words)
	a := &arena{host: host, at: l, base: base}
	part := func(at, n int) []int32 { return host[at : at+n : at+n] }
	a.token, a.pos, a.seq = part(l.token, c.MaxRows), part(l.pos, c.MaxRows), part(l.seq, c.MaxRows)
	a.logitRows, a.pages = part(l.logitRows, c.LogitRows()), part(l.pages, c.MaxTable())
	a.seqs = unsafe.Slice((*backend.Seq)(unsafe.Pointer(&host[l.seqs])), c.MaxSeqs)
	a.copies = unsafe.Slice((*backend.Copy)(unsafe.Pointer(&host[l.copies])), c.MaxCopies())
	a.seqWords = part(l.seqs, kernels.SeqWords*c.MaxSeqs)
	a.narrow, a.wide = part(l.narrow, kernels.ItemWords*most.Narrow), part(l.wide, kernels.ItemWords*most.Wide)
	a.merges = part(l.merges, kernels.MergeWords*most.Merges)
	return a
}

// batch is where kernels find the arrays.
func (a *arena) batch(masks, last kernels.Ptr) kernels.Batch {
	return kernels.Batch{
		Header: a.ptr(a.at.hdr), Token: a.ptr(a.at.token), Pos: a.ptr(a.at.pos), Seq: a.ptr(a.at.seq),
		Seqs: a.ptr(a.at.seqs), Pages: a.ptr(a.at.pages), Copies: a.ptr(a.at.copies),
		LogitRows: a.ptr(a.at.logitRows), Samples: a.ptr(a.at.samples), Masks: masks,
		Narrow: a.ptr(a.at.narrow), Wide: a.ptr(a.at.wide), Merges: a.ptr(a.at.merges), LastToken: last,
	}
}

// ptr is the device's address of a part.
func (a *arena) ptr(word int) kernels.Ptr { return a.base + kernels.Ptr(4*word) }

// count is the device's address of a word of hdr.
func (a *arena) count(word int) kernels.Ptr { return a.ptr(a.at.hdr + word) }

// put writes a batch but for its samples, which masks may still be made for; its
// slices are usually the arena's own. And it writes attention's work, which it
// counts; p is nil where there is no attention.
func (a *arena) put(b *backend.Batch, p *kernels.Planner) kernels.Work {
	settle(a.token, b.Token)
	settle(a.pos, b.Pos)
	settle(a.seq, b.Seq)
	settle(a.logitRows, b.LogitRows)
	settle(a.pages, b.Pages)
	settle(a.seqs, b.Seqs)
	settle(a.copies, b.Copies)
	var w kernels.Work
	if p != nil {
		w = p.Plan(a.seqWords[:kernels.SeqWords*len(b.Seqs)], a.narrow, a.wide, a.merges)
	}
	hdr := a.host[a.at.hdr:][:kernels.HeaderWords]
	for word, n := range [...]int{
		kernels.HeaderRows: b.Rows, kernels.HeaderSeqs: len(b.Seqs), kernels.HeaderLogits: len(b.LogitRows),
		kernels.HeaderSamples: len(b.Samples), kernels.HeaderCopies: len(b.Copies), kernels.HeaderPages: len(b.Pages),
		kernels.HeaderNarrow: w.Narrow, kernels.HeaderWide: w.Wide, kernels.HeaderMerges: w.Merges,
	} {
		hdr[word] = int32(n)
	}
	return w
}

// putSamples writes the samples, when masks are written no longer.
func (a *arena) putSamples(b *backend.Batch) (masked bool) {
	for i, s := range b.Samples {
		w := a.host[a.at.samples+sampleWords*i:][:sampleWords]
		w[0], w[1], w[2], w[3] = s.Slot, s.Logits, s.Pos, 0
		if s.Masked {
			w[3], masked = 1, true
		}
	}
	return masked
}

// bytes is a range of the pinned words.
func (a *arena) bytes(from, to int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&a.host[from])), 4*(to-from))
}

// settle copies a batch slice that a caller put elsewhere to the array that is
// copied over. Usually it is that array.
func settle[T any](array, s []T) {
	if len(s) > 0 && unsafe.SliceData(array) != unsafe.SliceData(s) {
		copy(array[:len(s)], s)
	}
}

// wordsOf and bytesOf see the same memory as words and as bytes.
func wordsOf(b []byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func bytesOf(w []uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), 4*len(w))
}
