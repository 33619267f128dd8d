package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/openai"
)

const (
	greater        = "9.11 and 9.8, which is greater?"
	greaterThought = "\nAlign the two and compare digit by digit: 9.11 and 9.80\n9=9\n1<8\nSo 9.11 < 9.8.\n"
	greaterAnswer  = "\n\n9.8 is greater than 9.11."
	greaterPrompt  = "<|im_start|>user\n" + greater + "<|im_end|>\n<|im_start|>assistant\n"
)

// A chat and the prompt that it becomes are answered the same; only the chat's
// answer comes apart.
func TestGenerateAnswersAChatAndGoesOnFromAPrompt(t *testing.T) {
	var usage []openai.Usage
	for _, c := range []struct {
		input string
		args  []string
		want  string
	}{
		{"", []string{"--chat", greater}, greaterThought + "|" + greaterAnswer},
		{greater + "\n", []string{"--chat"}, greaterThought + "|" + greaterAnswer},
		{greaterPrompt + "\n", nil, "<think>" + greaterThought + "</think>" + greaterAnswer},
	} {
		code, out, stderr := invoke(t, c.input, append([]string{"generate", "--json", "--temperature", "0", "--dtype", "float32"}, c.args...)...)
		var got generated
		if err := json.Unmarshal([]byte(out), &got); code != exitOK || stderr != "" || err != nil {
			t.Fatalf("%v: exit %d, %q, %q, %v", c.args, code, out, stderr, err)
		}
		text := ""
		if got.Text != nil {
			text = *got.Text
		} else {
			text = *got.Reasoning + "|" + *got.Content
		}
		if text != c.want || got.Finish != "stop" {
			t.Errorf("%v: %+v %q", c.args, got, text)
		}
		usage = append(usage, got.Usage)
	}
	if usage[0] != usage[1] || usage[0] != usage[2] || usage[0].CompletionTokensDetails.ReasoningTokens == 0 {
		t.Errorf("usage differs: %+v", usage)
	}
}

func TestGenerateWritesTheTextAlone(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--chat", greater}, strings.TrimSpace(greaterAnswer) + "\n"},
		{[]string{"--chat", "--reasoning", "show", greater}, strings.TrimSpace(greaterThought) + "\n\n" + strings.TrimSpace(greaterAnswer) + "\n"},
		{[]string{"--chat", "--reasoning", "show", "--effort", "none", greater}, strings.TrimSpace(greaterAnswer) + "\n"},
		{[]string{"--stop", " than", greaterPrompt}, "<think>" + greaterThought + "</think>\n\n9.8 is greater\n"},
		{[]string{"--max-tokens", "1", greaterPrompt}, "<think>\n"},
	} {
		if code, out, stderr := invoke(t, "", append([]string{"generate", "--temperature", "0", "--dtype", "float32"}, c.args...)...); code != exitOK || out != c.want || stderr != "" {
			t.Errorf("%v: exit %d, %q, %q", c.args, code, out, stderr)
		}
	}
}

func TestASeedRepeatsAnAnswer(t *testing.T) {
	say := func(seed string) string {
		_, out, _ := invoke(t, "", "generate", "--temperature", "2", "--max-tokens", "24", "--seed", seed, greaterPrompt)
		return out
	}
	if a, b, c := say("1"), say("1"), say("2"); a != b || a == c || a == "" {
		t.Errorf("%q, again %q, another seed %q", a, b, c)
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "the prompt is empty"}, {[]string{"--system", "x", "y"}, exitUsage, "--system and --effort belong to --chat"}, {[]string{"--effort", "none", "y"}, exitUsage, "belong to --chat"},
		{[]string{"--max-tokens", "999999", "x"}, exitError, "maximum context length"}, {[]string{"--model", "/none/such", "x"}, exitError, "/none/such"},
		{[]string{"--temperature", "3", "x"}, exitUsage, "temperature"}, {[]string{strings.Repeat("no ", 1<<20)}, exitError, "maximum context length"},
	} {
		if code, out, stderr := invoke(t, "", append([]string{"generate"}, c.args...)...); code != c.code || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%.60q: exit %d, %q, %q", c.args, code, out, stderr)
		}
	}
}
