package backend

import "fmt"

// MaxCopies is the most page copies of one step.
func (c Config) MaxCopies() int { return 2*c.MaxSeqs + 16 }

// MaxTable is the most pages that the page tables of one step name together.
func (c Config) MaxTable() int { return c.MaxSeqs * (c.MaxContext / PageTokens) }

// LogitRows is the most logits rows of one step.
func (c Config) LogitRows() int {
	if c.MaxLogits > 0 {
		return c.MaxLogits
	}
	return c.MaxRows
}

// Samples is the most samples of one step, each from a logits row of its own:
// one a sequence, and those of guesses.
func (c Config) Samples() int { return max(c.LogitRows(), c.MaxSeqs) }

// Check refuses a batch that would make an op read or write out of bounds.
// vocab is the rows of the embedding; last tells a slot's last token, nil where
// only the device knows it. An error is one line that names the place.
func (b *Batch) Check(c Config, vocab int, last func(slot int32) int32) error {
	k := checker{b, c, vocab, last}
	if err := k.sizes(); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	for _, p := range b.Copies {
		if !k.isPage(p.Src) || !k.isPage(p.Dst) {
			return fmt.Errorf("batch: copy of page %d to %d of %d", p.Src, p.Dst, c.Pages)
		}
	}
	rows := 0
	for i := range b.Seqs {
		if err := k.seq(int32(i), b.Seqs[i]); err != nil {
			return fmt.Errorf("batch: sequence %d: %w", i, err)
		}
		rows += int(b.Seqs[i].Count)
	}
	if rows != b.Rows {
		return fmt.Errorf("batch: the sequences have %d rows, the batch %d", rows, b.Rows)
	}
	for _, r := range b.LogitRows {
		if r < 0 || int(r) >= b.Rows {
			return fmt.Errorf("batch: logits wanted of row %d of %d", r, b.Rows)
		}
	}
	return nil
}

type checker struct {
	b     *Batch
	c     Config
	vocab int
	last  func(int32) int32
}

func (k *checker) sizes() error {
	b, c := k.b, k.c
	n := min(len(b.Token), len(b.Pos), len(b.Seq))
	most := max(len(b.Token), len(b.Pos), len(b.Seq))
	if b.Rows < 0 || n < b.Rows || most > c.MaxRows {
		return fmt.Errorf("%d rows, %d tokens, %d positions, %d sequence indices, at most %d",
			b.Rows, len(b.Token), len(b.Pos), len(b.Seq), c.MaxRows)
	}
	if len(b.Seqs) > c.MaxSeqs || len(b.Pages) > c.MaxTable() || len(b.Copies) > c.MaxCopies() || len(b.LogitRows) > c.LogitRows() {
		return fmt.Errorf("%d sequences, %d pages, %d copies, %d logits rows, at most %d, %d, %d, %d",
			len(b.Seqs), len(b.Pages), len(b.Copies), len(b.LogitRows), c.MaxSeqs, c.MaxTable(), c.MaxCopies(), c.LogitRows())
	}
	return nil
}

// seq checks a sequence, its page table and its rows. Since each row names the
// one sequence that may hold it, and the counts add up to the batch's rows, all
// rows are checked when all sequences are.
func (k *checker) seq(i int32, s Seq) error {
	pages := (int(s.Length) + PageTokens - 1) / PageTokens
	switch {
	case s.Slot < 0 || int(s.Slot) >= k.c.MaxSeqs:
		return fmt.Errorf("slot %d of %d", s.Slot, k.c.MaxSeqs)
	case s.Count < 0 || s.First < 0 || int(s.First)+int(s.Count) > k.b.Rows:
		return fmt.Errorf("%d rows from %d of %d", s.Count, s.First, k.b.Rows)
	case s.Length < s.Count || int(s.Length) > k.c.MaxContext:
		return fmt.Errorf("length %d, %d rows, context %d", s.Length, s.Count, k.c.MaxContext)
	case s.Table < 0 || int(s.Table)+pages > len(k.b.Pages):
		return fmt.Errorf("page table of %d from %d of %d", pages, s.Table, len(k.b.Pages))
	}
	for _, p := range k.b.Pages[s.Table:][:pages] {
		if !k.isPage(p) {
			return fmt.Errorf("page %d of %d", p, k.c.Pages)
		}
	}
	for r := s.First; r < s.First+s.Count; r++ {
		if err := k.row(r, i, s); err != nil {
			return fmt.Errorf("row %d: %w", r, err)
		}
	}
	return nil
}

func (k *checker) row(r, seq int32, s Seq) error {
	token, pos := k.b.Token[r], k.b.Pos[r]
	switch {
	case k.b.Seq[r] != seq:
		return fmt.Errorf("names sequence %d", k.b.Seq[r])
	case pos < 0 || pos >= s.Length:
		return fmt.Errorf("position %d, sequence length %d", pos, s.Length)
	case token < 0 && int(^token) >= k.c.MaxSeqs:
		return fmt.Errorf("last token of slot %d of %d", ^token, k.c.MaxSeqs)
	}
	if token < 0 {
		if k.last == nil {
			return nil
		}
		token = k.last(^token)
	}
	if token < 0 || int(token) >= k.vocab {
		return fmt.Errorf("token %d of %d", token, k.vocab)
	}
	return nil
}

func (k *checker) isPage(p int32) bool { return p >= 0 && int(p) < k.c.Pages }
