package e2e_test

import "testing"

// OpenAI's client reads the log-probabilities of contents, thoughts, completions
// and prompts, which add up to the texts.
func TestLogprobsByOpenAIsClient(t *testing.T) {
	p := start(t, "--dtype", "float32")
	python(t, nil, "logprobs.py", p.base)
}
