package prompt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Token is an added token of the vocabulary.
type Token struct {
	Content string
	Special bool
}

// ControlTokens picks the tokens that client text must not become: the special
// ones, and of the others those that the template writes itself, since they
// mark its turns. Tags of thoughts and tools (<think>, <tool_call>, [TOOL_CALLS])
// stay: templates look for them in history.
func ControlTokens(added []Token, templates Templates) []string {
	var control []string
	for _, t := range added {
		if strings.TrimSpace(t.Content) == "" || isTag(t.Content) {
			continue
		}
		if t.Special || templates.write(t.Content) {
			control = append(control, t.Content)
		}
	}
	return control
}

// isTag reports whether a token is a tag of a thought or a tool rather than of
// a turn. Tokens in bars, such as <|tool_calls_section_begin|>, are the latter.
func isTag(token string) bool {
	if strings.ContainsAny(token, "|｜") {
		return false
	}
	lower := strings.ToLower(token)
	return slices.ContainsFunc([]string{"think", "thought", "reason", "tool", "function"}, func(word string) bool {
		return strings.Contains(lower, word)
	})
}

// literals finds any of a set of strings, the longest first.
type literals struct {
	all     []string
	byStart map[[2]byte][]int // first two bytes -> indices into all, longest first
}

func newLiterals(all []string) *literals {
	l := &literals{byStart: map[[2]byte][]int{}}
	for _, s := range all {
		// A single byte is punctuation, not a token that ends a turn.
		if len(s) > 1 && !slices.Contains(l.all, s) {
			l.all = append(l.all, s)
		}
	}
	slices.SortStableFunc(l.all, func(a, b string) int { return len(b) - len(a) })
	for i, s := range l.all {
		start := [2]byte{s[0], s[1]}
		l.byStart[start] = append(l.byStart[start], i)
	}
	return l
}

// next finds the first literal in s at or after from: its place and index, or
// -1, -1.
func (l *literals) next(s string, from int) (at, index int) {
	for i := from; i+1 < len(s); i++ {
		for _, index := range l.byStart[[2]byte{s[i], s[i+1]}] {
			if strings.HasPrefix(s[i:], l.all[index]) {
				return i, index
			}
		}
	}
	return -1, -1
}

// marks stand for control tokens in client text while the template renders: it
// may trim, split, print or escape that text, and can tell its own tokens from
// the client's no longer once they are in one string. A mark is made of digits,
// which nothing that templates do to text changes.
type marks struct {
	literals *literals
	stem     string // what every mark begins with; "" where the text spells no token
}

// digits of the literal's index, which follow the stem.
const indexDigits = 5

// hide puts marks into the chat's strings.
func hide(control *literals, c chat) *marks {
	m := &marks{literals: control}
	found := false
	c.each(func(s string) string {
		at, _ := control.next(s, 0)
		found = found || at >= 0
		return s
	})
	if !found {
		return m
	}
	m.stem = unusedStem(c)
	c.each(m.hideIn)
	return m
}

// unusedStem finds digits that the chat does not hold. The nine occurs once, in
// front, so that a stem is found in its place whatever digits stand before it.
func unusedStem(c chat) string {
	for n := 0; ; n++ {
		stem := "9" + strings.ReplaceAll(fmt.Sprintf("%015d", 271828182845+n*7919), "9", "8")
		used := false
		c.each(func(s string) string {
			used = used || strings.Contains(s, stem)
			return s
		})
		if !used {
			return stem
		}
	}
}

// any reports whether anything was hidden.
func (m *marks) any() bool { return m.stem != "" }

func (m *marks) hideIn(s string) string {
	var out strings.Builder
	end := 0
	for {
		at, index := m.literals.next(s, end)
		if at < 0 {
			break
		}
		fmt.Fprintf(&out, "%s%s%0*d", s[end:at], m.stem, indexDigits, index)
		end = at + len(m.literals.all[index])
	}
	if end == 0 {
		return s
	}
	return out.String() + s[end:]
}

// restore puts the tokens' text back and says where it stands.
func (m *marks) restore(s string) (string, []Span) {
	if !m.any() {
		return s, nil
	}
	var out strings.Builder
	var spans []Span
	for {
		before, after, found := strings.Cut(s, m.stem)
		out.WriteString(before)
		if !found {
			return out.String(), spans
		}
		s = after
		index, err := strconv.Atoi(s[:min(indexDigits, len(s))])
		if err != nil || index >= len(m.literals.all) {
			continue // a template cut the mark in two
		}
		start := out.Len()
		out.WriteString(m.literals.all[index])
		spans = append(spans, Span{Start: start, End: out.Len()})
		s = s[indexDigits:]
	}
}
