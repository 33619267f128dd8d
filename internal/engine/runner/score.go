package runner

import (
	"github.com/reasond/reasond/internal/engine/sample"
	"github.com/reasond/reasond/internal/llm"
)

// score reads the logits of prompts' rows, which lie as fill has put them: an
// item's scored rows, then those that are sampled.
func (r *Runner) score(s *Step) error {
	if s.Likely == nil {
		return nil
	}
	at := 0
	s.logits = grown(s.logits, r.be.Info().Vocab)
	for i := range s.Plan.Items {
		it, row := &s.Plan.Items[i], &s.Rows[i]
		if len(it.Score) > 0 {
			row.Prompt = make([]llm.PromptLogprob, len(it.Score))
		}
		for k, id := range it.Score {
			if err := r.be.LogitsRow(s.logits, at); err != nil {
				return err
			}
			at++
			if row.Err == nil {
				row.Prompt[k], row.Err = sample.Score(s.logits, id, s.Likely[i])
			}
		}
		at += it.Logits
	}
	return nil
}
