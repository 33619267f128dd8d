package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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
	start(t, "--chat-template", template).logs("everything is content", "knows no reasoning")
	start(t, "--reasoning-parser", "auto").logs("reasoning is told from content", "qwen3")
	_, stderr, code := reasond(t, "", "serve", "--port", "0", "--reasoning-parser", "auto", "--chat-template", template)
	if lines := strings.Split(strings.TrimSpace(stderr), "\n"); code == 0 || !strings.Contains(lines[len(lines)-1], "--reasoning-parser auto: the chat template knows no reasoning") {
		t.Errorf("auto without a sign: exit %d, %s", code, stderr)
	}
}

// logs waits until all words are in the log.
func (p *process) logs(words ...string) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(time.Minute); ; <-tick.C {
		missing := slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(p.stderr.String(), word) })
		if !missing {
			return
		}
		if time.Now().After(limit) {
			p.t.Errorf("the log does not have %q: %s", words, p.stderr)
			return
		}
	}
}
