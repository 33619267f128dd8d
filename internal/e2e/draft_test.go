package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// message asks for an answer that is not streamed.
func (p *process) message(body string) string {
	p.t.Helper()
	res, err := p.post(context.Background(), body)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Choices []struct {
			Message struct {
				Content   string
				Reasoning string `json:"reasoning_content"`
			}
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Choices) != 1 {
		p.t.Fatalf("%s: %d choices, %v", res.Status, len(answer.Choices), err)
	}
	m := answer.Choices[0].Message
	return m.Reasoning + "|" + m.Content
}

// Law: with a draft model the program answers as without, greedily and at a
// temperature with a seed. The built-in model guesses for itself, so its guesses are
// nearly all right.
func TestADraftModelAnswersAsWithout(t *testing.T) {
	with, without := start(t, "--draft-model", "tiny-reasoner", "--draft-tokens", "3"), start(t, "--speculative", "off")
	for i, question := range []string{"What is 12 + 34?", "Reverse the word lamp.", "How many r are in strawberry?", "Is 9.9 or 9.11 larger?"} {
		for _, temperature := range []float64{0, 0.9} {
			body := fmt.Sprintf(`{"messages":[{"role":"user","content":%q}],"temperature":%g,"seed":%d,"max_tokens":200}`, question, temperature, i)
			if got, want := with.message(body), without.message(body); got != want || len(want) < 5 {
				t.Errorf("%s at %g: %q, without a draft model %q", question, temperature, got, want)
			}
		}
	}
	m, off := with.metrics(), without.metrics()
	if m["reasond_draft_tokens_total"] == 0 || off["reasond_draft_tokens_total"] > 0 {
		t.Errorf("%g guesses, and %g where there must be none", m["reasond_draft_tokens_total"], off["reasond_draft_tokens_total"])
	}
	t.Logf("%g of %g guesses were right", m["reasond_draft_tokens_accepted_total"], m["reasond_draft_tokens_total"])
}

// A draft model that cannot be used ends the program with a line that names the flag.
func TestADraftModelThatCannotBeUsedEndsTheProgram(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--draft-model ./nowhere.gguf", "--draft-model: model \"./nowhere.gguf\": no such folder or file"},
		{"-md ../../testdata/models/llama", "--draft-model"}, // another vocabulary, or none
		{"--draft-model tiny-reasoner --tp 2 --cpu-ranks", "--draft-model does not go together with --tensor-parallel-size 2"},
		{`--speculative-config {"model":7}`, "not the name of a model"},
	} {
		_, stderr, code := reasond(t, "", append([]string{"serve", "--port", "0"}, strings.Fields(c.args)...)...)
		if code == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("serve %s: exit code %d, %s", c.args, code, stderr)
		}
	}
}
