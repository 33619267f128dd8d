package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/reliability.md names tests by package and function.
func TestTheReliabilityPageNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	functions := testFunctions(t)
	names := regexp.MustCompile("`([a-z0-9]+)\\.((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(page), -1)
	if len(names) < 30 {
		t.Fatalf("only %d tests are named", len(names))
	}
	for _, name := range names {
		if !functions[name[1]+"."+name[2]] {
			t.Errorf("there is no test %s.%s", name[1], name[2])
		}
	}
}

// testFunctions are the tests of the tree as folder.Function.
func testFunctions(t *testing.T) map[string]bool {
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	found := map[string]bool{}
	for _, root := range []string{".", "../api", "../kernels"} {
		err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range function.FindAllStringSubmatch(string(text), -1) {
				found[filepath.Base(filepath.Dir(path))+"."+m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
