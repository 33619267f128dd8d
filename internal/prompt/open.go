package prompt

import (
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// ReasoningOpen says whether a prompt that is no chat leaves a reasoning block
// open, by the rule of Render: what counts is the text after the last control
// token.
func (r *Renderer) ReasoningOpen(text string, markers Markers) reasoning.Open {
	if len(markers.Open) == 0 {
		return reasoning.OpenUnknown
	}
	d := &draft{in: Input{Markers: markers}, control: r.control}
	return answer(text[d.turnStart(Output{Text: text}):], markers)
}

// reasoningOpen looks for an open reasoning block in the assistant's turn as far
// as the prompt holds it; blocks of earlier turns do not count. The last marker
// of the turn decides.
//
//  1. The turn begins after the last control token. No opening marker in it: no.
//  2. A final message that is continued is the assistant's own words.
//  3. Otherwise the markers that count are the template's. Where the client's text
//     has some too, the chat is rendered once more with those hidden.
func (d *draft) reasoningOpen(out Output) (reasoning.Open, error) {
	markers := d.in.Markers
	if len(markers.Open) == 0 {
		return reasoning.OpenUnknown, nil
	}
	turn := out.Text[d.turnStart(out):]
	switch {
	case !containsAny(turn, markers.Open):
		return reasoning.OpenNo, nil // 1
	case d.in.ContinueFinalMessage:
		return answer(turn, markers), nil // 2
	case !d.in.AddGenerationPrompt:
		return reasoning.OpenNo, nil
	}
	if hide(newLiterals(markers.all()), d.chat).any() { // 3
		text, err := d.pass()
		if err != nil {
			return reasoning.OpenUnknown, err
		}
		turn = text[d.turnStart(Output{Text: text}):]
	}
	return answer(turn, markers), nil
}

func (m Markers) all() []string { return slices.Concat(m.Open, m.Close) }

// answer says whether the last marker in a turn opens a block.
func answer(turn string, markers Markers) reasoning.Open {
	last := func(markers []string) int {
		end := 0
		for _, marker := range markers {
			if at := strings.LastIndex(turn, marker); at >= 0 {
				end = max(end, at+len(marker))
			}
		}
		return end
	}
	if last(markers.Open) > last(markers.Close) {
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
	return slices.ContainsFunc(markers.all(), func(marker string) bool { return strings.Contains(marker, token) })
}

func containsAny(s string, subs []string) bool {
	return slices.ContainsFunc(subs, func(sub string) bool { return strings.Contains(s, sub) })
}
