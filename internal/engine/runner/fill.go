package runner

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/sched"
)

// fill writes the step into the device's batch, but for guesses that were not made.
// The batch's slices have fixed capacity: a plan that does not fit is an error, never
// a reallocation.
func fill(b *backend.Batch, s *Step) error {
	p := s.Plan
	rows, pages, logits, scored := 0, 0, 0, 0
	for i := range p.Items {
		rows += p.Items[i].Count - s.left(i)
		pages += len(p.Items[i].Tables[0])
		logits += s.samples(i)
		scored += len(p.Items[i].Score)
	}
	if rows > cap(b.Token) || pages > cap(b.Pages) || len(p.Items) > cap(b.Seqs) || logits > cap(b.Samples) || logits+scored > cap(b.LogitRows) {
		return fmt.Errorf("runner: %d rows, %d pages, %d sequences, %d samples, %d logits do not fit the batch (%d, %d, %d, %d, %d)",
			rows, pages, len(p.Items), logits, logits+scored, cap(b.Token), cap(b.Pages), cap(b.Seqs), cap(b.Samples), cap(b.LogitRows))
	}
	b.Rows = rows
	b.Token, b.Pos, b.Seq = b.Token[:0], b.Pos[:0], b.Seq[:0]
	b.Seqs, b.Pages, b.Copies = b.Seqs[:0], b.Pages[:0], b.Copies[:0]
	b.LogitRows, b.Samples = b.LogitRows[:0], b.Samples[:0]
	for _, c := range p.Copies {
		b.Copies = append(b.Copies, backend.Copy{Src: int32(c.Src), Dst: int32(c.Dst)})
	}
	for i := range p.Items {
		fillItem(b, &p.Items[i], int32(i), s.left(i))
	}
	b.Masks = b.Masks[:logits*b.MaskWords]
	b.Sampled = b.Sampled[:logits]
	return nil
}

func fillItem(b *backend.Batch, it *sched.Item, seq int32, left int) {
	first, count := int32(len(b.Token)), it.Count-left
	for k, id := range it.Tokens[:count] {
		b.Token = append(b.Token, id)
		b.Pos = append(b.Pos, int32(it.Start+k))
		b.Seq = append(b.Seq, seq)
	}
	length := int32(it.Start + count)
	b.Seqs = append(b.Seqs, backend.Seq{Slot: int32(it.Slot), First: first, Count: int32(count), Length: length, Table: int32(len(b.Pages))})
	for _, page := range it.Tables[0] {
		b.Pages = append(b.Pages, int32(page))
	}
	for k := range it.Score {
		b.LogitRows = append(b.LogitRows, first+int32(k))
	}
	for k := it.Count - it.Logits; k < count; k++ {
		b.Samples = append(b.Samples, backend.Sample{Slot: int32(it.Slot), Logits: int32(len(b.LogitRows)), Pos: int32(it.Start + k + 1),
			Drafted: k >= it.Count-it.Draft})
		b.LogitRows = append(b.LogitRows, first+int32(k))
	}
}
