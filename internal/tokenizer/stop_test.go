package tokenizer

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// firstStop is the law: the earliest start, then the first listed.
func firstStop(text string, stops []string) (start, index int) {
	for start := range len(text) {
		for i, s := range stops {
			if s != "" && strings.HasPrefix(text[start:], s) {
				return start, i
			}
		}
	}
	return -1, -1
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func stopLaws(t failer, text string, stops []string, cut func(left int) int) {
	t.Helper()
	longest := 1
	for _, s := range stops {
		longest = max(longest, len(s))
	}
	m := NewMatcher(stops)
	var out strings.Builder
	hit := false
	for left := text; left != "" && !hit; {
		n := cut(len(left))
		var safe string
		safe, hit = m.Feed(left[:n])
		left = left[n:]
		out.WriteString(safe)
		if held := len(text) - len(left) - out.Len(); !hit && (held > longest-1 || held != len(m.Held())) {
			t.Fatalf("%q %q: %d bytes held back, %q", text, stops, held, m.Held())
		}
	}
	if !hit {
		var rest string
		rest, hit = m.Close()
		out.WriteString(rest)
	}
	start, index := firstStop(text, stops)
	stop, at, ok := m.Match()
	switch {
	case ok != hit || hit != (start >= 0):
		t.Fatalf("%q %q: matched %v, Match says %v, there is one at %d", text, stops, hit, ok, start)
	case !hit && out.String() != text:
		t.Fatalf("%q %q: passed %q", text, stops, out.String())
	case hit && (out.String() != text[:start] || stop != stops[index] || at != start):
		t.Fatalf("%q %q: %q then %q at %d; want %q at %d", text, stops, out.String(), stop, at, stops[index], start)
	}
	if safe, again := m.Feed("more"); hit && (safe != "" || again) {
		t.Fatalf("%q %q: text after the match", text, stops)
	}
}

func TestTheEarliestStopWinsHoweverTextIsCut(t *testing.T) {
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("aabbé")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		stops := rapid.SliceOfN(letters, 0, 5).Draw(t, "stops")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("aaabbbéc")), 0, 30, -1).Draw(t, "text")
		stopLaws(t, text, stops, func(left int) int { return rapid.IntRange(1, left).Draw(t, "cut") })
	})
}

// Every text of up to six letters with every pair of stop strings of up to three.
func TestTheEarliestStopWinsInEverySmallCase(t *testing.T) {
	words := func(longest int) []string {
		all := []string{""}
		for from := 0; len(all[from]) < longest; from++ {
			all = append(all, all[from]+"a", all[from]+"b")
		}
		return all
	}
	for _, first := range words(3) {
		for _, second := range words(3) {
			for _, text := range words(6) {
				stopLaws(t, text, []string{first, second}, func(left int) int { return left })
				stopLaws(t, text, []string{first, second}, func(int) int { return 1 })
			}
		}
	}
}

func TestStopCases(t *testing.T) {
	for _, c := range []struct {
		name  string
		stops []string
		text  string
		want  string
		stop  string
	}{
		{"none", nil, "abc", "abc", ""},
		{"empty ones do not count", []string{"", "b"}, "abc", "a", "b"},
		{"a longer one that starts earlier", []string{"bc", "abcd"}, "xabcdy", "x", "abcd"},
		{"a longer one that fails", []string{"bc", "abcd"}, "xabcey", "xa", "bc"},
		{"the one listed first of two that start together", []string{"ab", "abc"}, "abc", "", "ab"},
		{"the longer is listed first", []string{"abc", "ab"}, "abc", "", "abc"},
		{"the longer is listed first and fails", []string{"abc", "ab"}, "abx", "", "ab"},
		{"the longer is listed first and never comes", []string{"abc", "ab"}, "ab", "", "ab"},
		{"overlapping itself", []string{"aab"}, "aaab", "a", "aab"},
		{"newlines", []string{"\n\n"}, "a\nb\n\nc", "a\nb", "\n\n"},
		{"in other scripts", []string{"。終"}, "答え。答え。終わり", "答え。答え", "。終"},
	} {
		m := NewMatcher(c.stops)
		got, hit := m.Feed(c.text)
		if !hit {
			rest, _ := m.Close()
			got += rest
		}
		if stop, _, _ := m.Match(); got != c.want || stop != c.stop {
			t.Errorf("%s: %q then %q; want %q then %q", c.name, got, stop, c.want, c.stop)
		}
		for size := 1; size <= 3; size++ {
			stopLaws(t, c.text, c.stops, func(left int) int { return min(size, left) })
		}
	}
}

func FuzzStop(f *testing.F) {
	f.Add("xabcey", "bc|abcd", []byte{1, 2})
	f.Add("aaaaaaab", "aab|aaaaab|b", []byte{3})
	f.Fuzz(func(t *testing.T, text, stops string, cuts []byte) {
		list := strings.Split(stops, "|")
		if len(list) > 16 {
			return
		}
		stopLaws(t, text, list, func(left int) int {
			if len(cuts) == 0 {
				return left
			}
			n := 1 + int(cuts[0])%left
			cuts = cuts[1:]
			return n
		})
	})
}

func BenchmarkStop(b *testing.B) {
	m := NewMatcher([]string{"\nObservation:", "</answer>", "STOP"})
	const text = "The answer is 4, < 5.\nO"
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, hit := m.Feed(text); hit {
			b.Fatal("matched")
		}
	}
}
