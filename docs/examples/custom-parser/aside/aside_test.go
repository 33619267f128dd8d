package aside

import (
	"testing"

	"github.com/reasond/reasond/api/reasoning"
)

func TestAsideHoweverItIsCut(t *testing.T) {
	for raw, want := range map[string][2]string{
		"((why (not) this)) That.": {"why (not) this", " That."},
		"((cut off)":               {"cut off)", ""},
		"(a) b":                    {"", "(a) b"},
		"(":                        {"", "("},
		"a ((b))":                  {"", "a ((b))"},
	} {
		for size := 1; size <= len(raw); size++ {
			a, got := &parser{}, [2]string{}
			var segments []reasoning.Segment
			for i := 0; i < len(raw); i += size {
				segments = a.Feed(segments, raw[i:min(i+size, len(raw))])
			}
			for _, s := range a.Close(segments) {
				if raw[s.Start:s.End] != s.Text {
					t.Errorf("%q: %+v", raw, s)
				}
				got[s.Kind] += s.Text
			}
			if got != want {
				t.Errorf("%q in parts of %d: %q, want %q", raw, size, got, want)
			}
		}
	}
}
