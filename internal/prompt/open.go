package prompt

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// reasoningOpen looks for an open reasoning block in the assistant's turn as far
// as the prompt holds it; blocks of earlier turns do not count.
//
//  1. The turn begins after the last control token. No opening marker in it: no.
//  2. A final message that is continued is the assistant's own words: its last
//     marker decides.
//  3. Otherwise the markers that count are those that the generation prompt adds,
//     which is what a second render, without it, lacks.
//  4. A template that writes the same without it always opens the turn; its
//     markers count unless the client's text has them too.
func (d *draft) reasoningOpen(out Output) (reasoning.Open, error) {
	markers := d.in.Markers
	if len(markers.Open) == 0 {
		return reasoning.OpenUnknown, nil
	}
	start := d.turnStart(out)
	open, end := lastMarker(out.Text[start:], markers)
	switch {
	case !containsAny(out.Text[start:], markers.Open):
		return reasoning.OpenNo, nil // 1
	case d.in.ContinueFinalMessage:
		return answer(open), nil // 2
	case !d.in.AddGenerationPrompt:
		return reasoning.OpenNo, nil
	}
	bare, err := d.pass(false)
	if err != nil {
		// A template may refuse to render without: the turn is all there is.
		return answer(open), nil //nolint:nilerr
	}
	bare, _ = d.marks.restore(bare)
	if bare == out.Text {
		if d.clientWrites(markers) {
			return reasoning.OpenUnknown, nil
		}
		return answer(open), nil // 4
	}
	return answer(open && start+end > commonPrefix(bare, out.Text)), nil // 3
}

func answer(open bool) reasoning.Open {
	if open {
		return reasoning.OpenYes
	}
	return reasoning.OpenNo
}

// turnStart is where the text after the last control token begins. Control
// tokens that are part of a marker do not begin a turn.
func (d *draft) turnStart(out Output) int {
	start, spans := 0, out.Spans
	for from := 0; ; {
		at, index := d.control.next(out.Text, from)
		if at < 0 {
			return start
		}
		end := at + len(d.control.all[index])
		for len(spans) > 0 && spans[0].End <= at {
			spans = spans[1:]
		}
		inClientText := len(spans) > 0 && spans[0].Start < end
		if !inClientText && !partOfMarker(d.control.all[index], d.in.Markers) {
			start = end
		}
		from = end
	}
}

func partOfMarker(token string, markers Markers) bool {
	for _, marker := range append(markers.Open[:len(markers.Open):len(markers.Open)], markers.Close...) {
		if strings.Contains(marker, token) {
			return true
		}
	}
	return false
}

// lastMarker says whether the last marker in s opens a block, and where it ends.
func lastMarker(s string, markers Markers) (open bool, end int) {
	for _, marker := range markers.Close {
		if at := strings.LastIndex(s, marker); at >= 0 {
			end = max(end, at+len(marker))
		}
	}
	for _, marker := range markers.Open {
		if at := strings.LastIndex(s, marker); at >= 0 && at+len(marker) > end {
			open, end = true, at+len(marker)
		}
	}
	return open, end
}

func containsAny(s string, subs []string) bool {
	for _, sub := range subs {
		if strings.Contains(s, sub) {
			return true
		}
	}
	return false
}

// clientWrites reports whether the client's text holds an opening marker.
func (d *draft) clientWrites(markers Markers) bool {
	found := false
	d.chat.each(func(s string) string {
		found = found || containsAny(s, markers.Open)
		return s
	})
	return found
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
