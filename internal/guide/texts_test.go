package guide_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// ordinary are texts that no loop breaker may break: thoughts of tiny-reasoner
// and whatever the parsers' goldens hold.
func ordinary(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	data, err := os.ReadFile("../../testdata/tiny-reasoner/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Cases []struct {
			Name   string
			Output string `json:"output_text"`
		}
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	for _, c := range g.Cases {
		texts[c.Name] = c.Output
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		texts[page] = string(data)
	}
	if len(texts) < 8 {
		t.Fatalf("only %d texts", len(texts))
	}
	return texts
}
