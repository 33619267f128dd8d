package ranks

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

// copyStep gives a rank what Forward needs of the first rank's batch. Guides'
// masks may be written meanwhile, so neither they nor Sample.Masked are touched.
func copyStep(dst, src *backend.Batch) {
	dst.Rows, dst.Guided = src.Rows, src.Guided
	fill(&dst.Token, src.Token)
	fill(&dst.Pos, src.Pos)
	fill(&dst.Seq, src.Seq)
	fill(&dst.Seqs, src.Seqs)
	fill(&dst.Pages, src.Pages)
	fill(&dst.Copies, src.Copies)
	fill(&dst.LogitRows, src.LogitRows)
	dst.Samples = dst.Samples[:len(src.Samples)]
	for i := range src.Samples {
		from, to := &src.Samples[i], &dst.Samples[i]
		to.Slot, to.Logits, to.Pos, to.Drafted, to.Masked = from.Slot, from.Logits, from.Pos, from.Drafted, false
	}
	dst.Sampled = dst.Sampled[:len(src.Sampled)]
}

// copyMasks gives a rank what Sample needs beside: nobody writes it any more.
func copyMasks(dst, src *backend.Batch) {
	fill(&dst.Samples, src.Samples)
	fill(&dst.Masks, src.Masks)
}

func fill[T any](dst *[]T, src []T) { *dst = append((*dst)[:0], src...) }

// agree reports where two ranks' samples differ.
func agree(a, b []backend.Sampled) error {
	if len(a) != len(b) {
		return fmt.Errorf("they sampled %d and %d tokens", len(a), len(b))
	}
	for i := range a {
		if a[i].Token != b[i].Token || (a[i].Err == nil) != (b[i].Err == nil) {
			return fmt.Errorf("sample %d is token %d for one and %d for the other", i, a[i].Token, b[i].Token)
		}
	}
	return nil
}
