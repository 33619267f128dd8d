package main

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Law: every test of the packages is in the list or left behind, files appear under names that
// are no tests' names, and the program's overlay adds nothing.
func TestOverlayHasEveryTest(t *testing.T) {
	t.Chdir("../../..")
	to := t.TempDir()
	if err := write(to); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(to, "suites.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "suites.go", list, 0); err != nil {
		t.Error(err)
	}
	read := func(name string) map[string]string {
		var overlay struct{ Replace map[string]string }
		data, err := os.ReadFile(filepath.Join(to, name))
		if err == nil {
			err = json.Unmarshal(data, &overlay)
		}
		if err != nil {
			t.Fatal(err)
		}
		return overlay.Replace
	}
	if got := read("program.json"); len(got) != 1 {
		t.Errorf("the program's overlay is %v", got)
	}
	files, stay := 0, 0
	for to, from := range read("tests.json") {
		if !strings.HasSuffix(from, "_test.go") {
			continue
		}
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), from, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(to, "_test.go") {
			t.Errorf("%s would be left out of a build", to)
		}
		for _, name := range tests(parsed) {
			want := 1
			if left[name] != "" {
				want = 0
				stay++
			}
			if got := strings.Count(string(list), "."+name+"}"); got != want {
				t.Errorf("%s is in the list %d times, must be %d", name, got, want)
			}
		}
	}
	if files < 10 || stay != len(left) {
		t.Errorf("%d files; %d tests left behind of %d", files, stay, len(left))
	}
}
