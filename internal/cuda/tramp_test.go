package cuda

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheForwardersAreThoseOfTheList(t *testing.T) {
	list, err := os.ReadFile("symbols.txt")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(list)) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), "="); name != "" && name[0] != '#' {
			want = append(want, name)
		}
	}
	source, err := os.ReadFile("tramp.c")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^FORWARD(?:_AS)?\((\w+)`).FindAllStringSubmatch(string(source), -1) {
		got = append(got, m[1])
	}
	if len(got) < 100 || !slices.Equal(got, want) {
		t.Errorf("tramp.c has %d forwarders, symbols.txt %d: go generate ./internal/cuda", len(got), len(want))
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != len(want) {
		t.Error("a symbol is listed twice")
	}
}
