package reasoning

import (
	"slices"
	"strings"
	"testing"
)

// passes is a parser for which everything is content.
type passes struct{ at int }

func (p *passes) Feed(dst []Segment, text string) []Segment {
	start := p.at
	p.at += len(text)
	return append(dst, Segment{Kind: Content, Start: start, End: p.at, Text: text})
}

func (p *passes) Close(dst []Segment) []Segment { return dst }

func TestRegistry(t *testing.T) {
	Register(Descriptor{
		Name: "test-plain", Aliases: []string{"Test_Other"}, New: func(Start) Parser { return &passes{} },
	})
	for _, name := range []string{"test-plain", "test_plain", "TEST-PLAIN", "test-other", "test_other"} {
		if d, err := Lookup(name); err != nil || d.Name != "test-plain" {
			t.Errorf("Lookup(%q) = %q, %v", name, d.Name, err)
		}
	}
	if names := Names(); !slices.Contains(names, "test-plain") || slices.Contains(names, "Test_Other") || !slices.IsSorted(names) {
		t.Errorf("Names() = %q", names)
	}
	if thought, content, err := Parse("test-plain", "a"); thought != "" || content != "a" || err != nil {
		t.Errorf("Parse = %q, %q, %v", thought, content, err)
	}
	if _, _, err := Parse("test-none", "a"); err == nil || !strings.Contains(err.Error(), "test-plain") {
		t.Errorf("an unknown name: %v", err)
	}
	for _, bad := range []Descriptor{
		{Name: "test-plain", New: func(Start) Parser { return nil }},
		{Name: "test_other", New: func(Start) Parser { return nil }},
		{Name: "test-new", Aliases: []string{"TEST_PLAIN"}, New: func(Start) Parser { return nil }},
		{Name: "test-none"},
		{New: func(Start) Parser { return nil }},
	} {
		if !panics(func() { Register(bad) }) {
			t.Errorf("%+v was registered", bad)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

func TestSwitchesByAnyName(t *testing.T) {
	for _, c := range []struct {
		start  Start
		on, ok bool
	}{
		{Start{}, false, false},
		{Start{Switches: map[string]bool{"enable_thinking": true}}, true, true},
		{Start{Switches: map[string]bool{"thinking": false}}, false, true},
		{Start{Effort: "none"}, false, true},
		{Start{Effort: "high"}, false, false},
		{Start{Effort: "none", Switches: map[string]bool{"thinking": true}}, true, true},
		{Start{Switches: map[string]bool{"other": true}}, false, false},
	} {
		if on, ok := c.start.Thinking(); on != c.on || ok != c.ok {
			t.Errorf("%+v: %v, %v", c.start, on, ok)
		}
	}
}
