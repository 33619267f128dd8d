package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReasoningByOpenAIsClient(t *testing.T) {
	for _, field := range []string{"both", "reasoning_content", "reasoning"} {
		p := start(t, "--reasoning-field", field)
		python(t, nil, "reasoning.py", p.base+"/v1", field)
	}
}

// The parser is what the template shows: without one a server says so and
// serves; asked for auto, it ends with one line.
func TestAParserIsShownOrRefused(t *testing.T) {
	template := filepath.Join(t.TempDir(), "qwen3.jinja")
	plain := "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
	if err := os.WriteFile(template, []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "--chat-template", template)
	if !strings.Contains(p.stderr.String(), "everything is content") || !strings.Contains(p.stderr.String(), "knows no reasoning") {
		t.Errorf("without a parser: %s", p.stderr)
	}
	if p := start(t, "--reasoning-parser", "auto"); !strings.Contains(p.stderr.String(), "qwen3") {
		t.Errorf("auto: %s", p.stderr)
	}
	_, stderr, code := reasond(t, "", "serve", "--port", "0", "--reasoning-parser", "auto", "--chat-template", template)
	if lines := strings.Split(strings.TrimSpace(stderr), "\n"); code == 0 || !strings.Contains(lines[len(lines)-1], "--reasoning-parser auto: the chat template knows no reasoning") {
		t.Errorf("auto without a sign: exit %d, %s", code, stderr)
	}
}
