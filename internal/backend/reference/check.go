package reference

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

// check refuses a batch that would make an op read or write out of bounds.
func (b *Backend) check() error {
	t := &b.batch
	if t.Rows < 0 || t.Rows > b.cfg.MaxRows || len(t.Token) < t.Rows || len(t.Pos) < t.Rows || len(t.Seq) < t.Rows {
		return fmt.Errorf("batch: %d rows, %d tokens, %d positions, %d sequence indices, at most %d",
			t.Rows, len(t.Token), len(t.Pos), len(t.Seq), b.cfg.MaxRows)
	}
	for _, c := range t.Copies {
		if !b.isPage(c.Src) || !b.isPage(c.Dst) {
			return fmt.Errorf("batch: copy of page %d to %d of %d", c.Src, c.Dst, b.cfg.Pages)
		}
	}
	for i, s := range t.Seqs {
		if err := b.checkSeq(s); err != nil {
			return fmt.Errorf("batch: sequence %d: %w", i, err)
		}
	}
	for r := range t.Rows {
		if err := b.checkRow(r); err != nil {
			return fmt.Errorf("batch: row %d: %w", r, err)
		}
	}
	for _, r := range t.LogitRows {
		if r < 0 || int(r) >= t.Rows {
			return fmt.Errorf("batch: logits wanted of row %d of %d", r, t.Rows)
		}
	}
	return nil
}

func (b *Backend) checkSeq(s backend.Seq) error {
	pages := (int(s.Length) + backend.PageTokens - 1) / backend.PageTokens
	switch {
	case s.Slot < 0 || int(s.Slot) >= b.cfg.MaxSeqs:
		return fmt.Errorf("slot %d of %d", s.Slot, b.cfg.MaxSeqs)
	case s.Count < 0 || s.First < 0 || int(s.First)+int(s.Count) > b.batch.Rows:
		return fmt.Errorf("%d rows from %d of %d", s.Count, s.First, b.batch.Rows)
	case s.Length < s.Count || int(s.Length) > b.cfg.MaxContext:
		return fmt.Errorf("length %d, %d rows, context %d", s.Length, s.Count, b.cfg.MaxContext)
	case s.Table < 0 || int(s.Table)+pages > len(b.batch.Pages):
		return fmt.Errorf("page table of %d from %d of %d", pages, s.Table, len(b.batch.Pages))
	}
	for _, p := range b.batch.Pages[s.Table:][:pages] {
		if !b.isPage(p) {
			return fmt.Errorf("page %d of %d", p, b.cfg.Pages)
		}
	}
	return nil
}

func (b *Backend) checkRow(r int) error {
	t := &b.batch
	token, pos, seq := t.Token[r], t.Pos[r], t.Seq[r]
	switch {
	case seq < 0 || int(seq) >= len(t.Seqs):
		return fmt.Errorf("sequence %d of %d", seq, len(t.Seqs))
	case pos < 0 || pos >= t.Seqs[seq].Length:
		return fmt.Errorf("position %d, sequence length %d", pos, t.Seqs[seq].Length)
	case token < 0 && int(^token) >= b.cfg.MaxSeqs:
		return fmt.Errorf("last token of slot %d of %d", ^token, b.cfg.MaxSeqs)
	case b.token(r) < 0 || b.token(r) >= b.tokens:
		return fmt.Errorf("token %d of %d", b.token(r), b.tokens)
	}
	return nil
}

func (b *Backend) isPage(p int32) bool { return p >= 0 && int(p) < b.cfg.Pages }
