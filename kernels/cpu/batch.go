package cpu

// #include "rk.h"
import "C"

import "unsafe"

// Seq and Copy have the fields of backend.Seq and backend.Copy.
type (
	Seq  struct{ Slot, First, Count, Length, Table int32 }
	Copy struct{ Src, Dst int32 }
)

// Batch holds the machine's batch arrays, in C memory at full capacity: what is
// written here the next Forward reads.
type Batch struct {
	Token, Pos, Seq, LogitRows []int32 // [MaxRows]
	Seqs                       []Seq   // [MaxSeqs]
	Pages                      []int32 // [MaxSeqs*MaxContext/PageTokens]
	Copies                     []Copy  // [MaxCopies]
	Last                       []int32 // [MaxSeqs] what a token ^slot stands for
}

// Batch returns the batch arrays.
func (m *Machine) Batch() Batch {
	b, rows, seqs := m.batch, m.cfg.MaxRows, m.cfg.MaxSeqs
	ints := func(p *C.int32_t, n int) []int32 { return unsafe.Slice((*int32)(p), n) }
	return Batch{
		Token: ints(b.token, rows), Pos: ints(b.pos, rows), Seq: ints(b.seq, rows), LogitRows: ints(b.logit_rows, rows),
		Seqs:   unsafe.Slice((*Seq)(unsafe.Pointer(b.seqs)), seqs),
		Pages:  ints(b.pages, seqs*(m.cfg.MaxContext/PageTokens)),
		Copies: unsafe.Slice((*Copy)(unsafe.Pointer(b.copies)), m.cfg.MaxCopies),
		Last:   ints(b.last, seqs),
	}
}

// SetCounts says how much of the arrays the next Forward uses.
func (m *Machine) SetCounts(rows, seqs, copies, logits int) {
	m.batch.rows, m.batch.nseqs = C.int32_t(rows), C.int32_t(seqs)
	m.batch.ncopies, m.batch.nlogits = C.int32_t(copies), C.int32_t(logits)
}
