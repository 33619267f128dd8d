// Package examples holds what the documents show at length, and tests that it
// works as it stands.
package examples

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program of another module that registers a parser is reasond with that
// parser. It is built outside of the tree, where the go command may complete
// its go.mod from this module's, without a network.
func TestCustomParserIsAModuleOfItsOwn(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("custom-parser")); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("custom-parser/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go.mod"), strings.Replace(string(mod), "../../..", root, 1))
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go.sum"), string(sum))

	run(t, dir, "", "go", "test", "./aside")
	run(t, dir, "", "go", "build", "-o", "my-reasond", ".")
	out := run(t, dir, "((why)) That.", filepath.Join(dir, "my-reasond"), "parse", "--reasoning-parser", "aside")
	var answer struct {
		Reasoning string `json:"reasoning_content"`
		Content   string `json:"content"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Reasoning != "why" || answer.Content != " That." {
		t.Errorf("%s: %+v, %v", out, answer, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in a folder and returns its standard output.
func run(t *testing.T, dir, input, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, complaint.String())
	}
	return string(out)
}
