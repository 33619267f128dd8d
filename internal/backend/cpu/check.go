package cpu

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

// check refuses a batch that would make a kernel read or write out of bounds.
func (b *Backend) check() error {
	t, a := &b.batch, &b.arrays
	if t.Rows < 0 || t.Rows > b.cfg.MaxRows || len(t.Token) < t.Rows || len(t.Pos) < t.Rows || len(t.Seq) < t.Rows ||
		len(t.Token) > b.cfg.MaxRows || len(t.Pos) > b.cfg.MaxRows || len(t.Seq) > b.cfg.MaxRows {
		return fmt.Errorf("batch: %d rows, %d tokens, %d positions, %d sequence indices, at most %d",
			t.Rows, len(t.Token), len(t.Pos), len(t.Seq), b.cfg.MaxRows)
	}
	if len(t.Seqs) > len(a.Seqs) || len(t.Pages) > len(a.Pages) || len(t.Copies) > len(a.Copies) || len(t.LogitRows) > len(a.LogitRows) {
		return fmt.Errorf("batch: %d sequences, %d pages, %d copies, %d logits rows, at most %d, %d, %d, %d",
			len(t.Seqs), len(t.Pages), len(t.Copies), len(t.LogitRows), len(a.Seqs), len(a.Pages), len(a.Copies), len(a.LogitRows))
	}
	for _, c := range t.Copies {
		if !b.isPage(c.Src) || !b.isPage(c.Dst) {
			return fmt.Errorf("batch: copy of page %d to %d of %d", c.Src, c.Dst, b.cfg.Pages)
		}
	}
	rows := 0
	for i, s := range t.Seqs {
		if err := b.checkSeq(int32(i), s); err != nil {
			return fmt.Errorf("batch: sequence %d: %w", i, err)
		}
		rows += int(s.Count)
	}
	if rows != t.Rows {
		return fmt.Errorf("batch: the sequences have %d rows, the batch %d", rows, t.Rows)
	}
	for _, r := range t.LogitRows {
		if r < 0 || int(r) >= t.Rows {
			return fmt.Errorf("batch: logits wanted of row %d of %d", r, t.Rows)
		}
	}
	return nil
}

// checkSeq checks a sequence, its page table and its rows. Since each row names
// the one sequence that may hold it, and the counts add up to the batch's rows,
// all rows are checked when all sequences are.
func (b *Backend) checkSeq(i int32, s backend.Seq) error {
	t := &b.batch
	pages := (int(s.Length) + backend.PageTokens - 1) / backend.PageTokens
	switch {
	case s.Slot < 0 || int(s.Slot) >= b.cfg.MaxSeqs:
		return fmt.Errorf("slot %d of %d", s.Slot, b.cfg.MaxSeqs)
	case s.Count < 0 || s.First < 0 || int(s.First)+int(s.Count) > t.Rows:
		return fmt.Errorf("%d rows from %d of %d", s.Count, s.First, t.Rows)
	case s.Length < s.Count || int(s.Length) > b.cfg.MaxContext:
		return fmt.Errorf("length %d, %d rows, context %d", s.Length, s.Count, b.cfg.MaxContext)
	case s.Table < 0 || int(s.Table)+pages > len(t.Pages):
		return fmt.Errorf("page table of %d from %d of %d", pages, s.Table, len(t.Pages))
	}
	for _, p := range t.Pages[s.Table:][:pages] {
		if !b.isPage(p) {
			return fmt.Errorf("page %d of %d", p, b.cfg.Pages)
		}
	}
	for r := s.First; r < s.First+s.Count; r++ {
		if err := b.checkRow(r, i, s); err != nil {
			return fmt.Errorf("row %d: %w", r, err)
		}
	}
	return nil
}

func (b *Backend) checkRow(r, seq int32, s backend.Seq) error {
	token, pos := b.batch.Token[r], b.batch.Pos[r]
	switch {
	case b.batch.Seq[r] != seq:
		return fmt.Errorf("names sequence %d", b.batch.Seq[r])
	case pos < 0 || pos >= s.Length:
		return fmt.Errorf("position %d, sequence length %d", pos, s.Length)
	case token < 0 && int(^token) >= b.cfg.MaxSeqs:
		return fmt.Errorf("last token of slot %d of %d", ^token, b.cfg.MaxSeqs)
	}
	if token < 0 {
		token = b.slots.Last(^token)
	}
	if token < 0 || int(token) >= b.tokens {
		return fmt.Errorf("token %d of %d", token, b.tokens)
	}
	return nil
}

func (b *Backend) isPage(p int32) bool { return p >= 0 && int(p) < b.cfg.Pages }
