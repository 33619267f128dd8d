package engine

import "github.com/reasond/reasond/internal/llm"

// scores gathers the log-probabilities of a prompt's tokens from the steps that
// compute it. The request shares no pages with others, so that every row is
// computed, for the first choice at the latest; the other choices fork pages
// whose rows have landed.
type scores struct {
	likely  int                 // how many of the likeliest go with each token
	known   int                 // tokens behind the first whose row has landed
	tokens  []llm.PromptLogprob // of the prompt, without the first
	waiting bool                // nobody has got them
}

func newScores(prompt, likely int) *scores {
	return &scores{likely: likely, tokens: make([]llm.PromptLogprob, prompt-1), waiting: true}
}

// add takes what the rows from start on have given; rows that were computed
// again after a preemption say nothing new. It returns all tokens once.
func (s *scores) add(start int, rows []llm.PromptLogprob) []llm.PromptLogprob {
	if start <= s.known {
		s.known = max(s.known, start+copy(s.tokens[start:], rows))
	}
	if !s.waiting || s.known < len(s.tokens) {
		return nil
	}
	s.waiting = false
	return s.tokens
}
