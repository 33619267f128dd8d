// Package aside is a reasoning parser for answers like "((thought)) answer".
package aside

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// Descriptor is the parser as a registry takes it.
var Descriptor = reasoning.Descriptor{
	Name: "aside", Doc: "((…)) at the start of an answer is a thought",
	Opens: []string{"(("}, Closes: []string{"))"}, MaxHold: 1,
	New: func(s reasoning.Start) reasoning.Parser { return &parser{open: s.Open == reasoning.OpenYes} },
}

// parser reads "((thought)) answer". What is not known yet, at most one byte, is
// held back, so that it does not matter how the text is cut.
type parser struct {
	open bool // in the thought
	done bool // in the answer
	off  int  // offset of held
	held string
}

// Feed implements reasoning.Parser.
func (a *parser) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	text, a.held = a.held+text, ""
	for !a.done {
		marker := "(("
		if a.open {
			marker = "))"
		}
		before, after, found := strings.Cut(text, marker)
		switch {
		case !a.open && strings.HasPrefix(text, marker):
			text = a.pass(text, marker)
			a.open = true
			continue
		case a.open && found:
			dst = a.emit(dst, reasoning.Reasoning, before)
			a.pass(marker+after, marker)
			text, a.open, a.done = after, false, true
			continue
		case !a.open && text != "" && text != marker[:1]:
			a.done = true
			continue
		case strings.HasSuffix(text, marker[:1]):
			a.held = marker[:1]
			text = text[:len(text)-1]
		}
		if a.open {
			dst = a.emit(dst, reasoning.Reasoning, text)
		}
		return dst
	}
	return a.emit(dst, reasoning.Content, text)
}

// Close implements reasoning.Parser.
func (a *parser) Close(dst []reasoning.Segment) []reasoning.Segment {
	kind := reasoning.Content
	if a.open {
		kind = reasoning.Reasoning
	}
	return a.emit(dst, kind, a.held)
}

// emit appends text that begins where the last left off.
func (a *parser) emit(dst []reasoning.Segment, kind reasoning.Kind, text string) []reasoning.Segment {
	if text == "" {
		return dst
	}
	start := a.off
	a.off += len(text)
	return append(dst, reasoning.Segment{Kind: kind, Start: start, End: a.off, Text: text})
}

// pass leaves out a marker at the start of text.
func (a *parser) pass(text, marker string) string {
	a.off += len(marker)
	return text[len(marker):]
}
