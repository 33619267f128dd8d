package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParsersMayComeFromFiles(t *testing.T) {
	for _, file := range []string{"parser.yaml", "template.yaml"} {
		for range 2 { // one process may be told twice
			name := strings.Replace(file, "parser.yaml", "muser", 1)
			name = strings.Replace(name, "template.yaml", "musing_template", 1)
			code, out, stderr := invoke(t, "[musing]why[/musing] That.", "parse",
				"--reasoning-parser-plugin", "../../docs/examples/parser-file/"+file, "--reasoning-parser", name, "--rechunk", "20")
			if want := `{"reasoning_content":"why","content":" That."}`; code != exitOK || strings.TrimSpace(out) != want {
				t.Errorf("%s: %d, %s%s", file, code, out, stderr)
			}
		}
	}
}

func TestParserFilesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"name: x\nopen: a\n":                                                   "close: the marker",
		"name: qwen3\nopen: a\nclose: b\nstart: never\n":                       "the name qwen3 is taken",
		"name: y\naliases: [Y]\nopen: a\nclose: b\nstart: never\n":             "the name Y is taken",
		"name: z\naliases: [step_3, step3]\nopen: a\nclose: b\nstart: never\n": "taken",
	} {
		file := filepath.Join(dir, "parser.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := invoke(t, "", "parse", "--reasoning-parser-plugin", file, "--reasoning-parser", "qwen3")
		if code != exitUsage || !strings.Contains(stderr, "--reasoning-parser-plugin "+file) || !strings.Contains(stderr, want) {
			t.Errorf("%q: %d, %s", text, code, stderr)
		}
	}
	if code, _, stderr := invoke(t, "", "parse", "--reasoning-parser-plugin", "none.yaml", "--reasoning-parser", "qwen3"); code != exitUsage || !strings.Contains(stderr, "none.yaml") {
		t.Errorf("no file: %d, %s", code, stderr)
	}
}
