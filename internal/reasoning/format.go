// Package reasoning holds the built-in parsers: text becomes reasoning and
// content. Most formats put the thought between two tags; those are rows of a
// table (format) over one machine (tag.go), one file a family. The package
// knows no tokens and no request beyond reasoning.Start.
package reasoning

import (
	"fmt"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// format is one row of the table: how a family writes its thought. No marker
// is the beginning of another.
type format struct {
	name    string
	aliases []string
	doc     string

	// tags stand around the thought. Where there are several, they are
	// alternatives: a thought closes with the tag that it was opened with, or
	// with any of them where the prompt opened it.
	tags []tag
	// choose leaves of tags, never changing them, those that a start allows for.
	// nil: all.
	choose func(reasoning.Start, []tag) []tag
	// label may follow the opening tag and is dropped with it.
	label string
	// stray: a closing tag that begins an answer is dropped.
	stray bool
	// blocks: a thought may begin anywhere in the answer, and more than once.
	blocks bool

	// feed: line breaks behind a closing tag are the format's, not the answer's.
	feed bool
	// answer stands around the answer behind a thought, where the model writes
	// it; its closing tag is followed by what feed says.
	answer tag

	// tools begin tool calls. Where the request offers tools, such markup at the
	// start of a line and outside of a code fence ends the thought.
	tools []string
	// toolTokens: the markup is a control token that prose does not have, so
	// where the vocabulary has it as a token it may stand within a line too.
	toolTokens bool
	// toolEnd closes a call within the thought, which then goes on.
	toolEnd string

	// thinks is the first state where the prompt is not known.
	thinks func(reasoning.Start) bool
}

// tag is a pair of markers.
type tag struct{ open, close string }

// think is the pair that most families write.
var think = []tag{{"<think>", "</think>"}}

// markers are all that the machine looks for, label and all.
func (f *format) markers() []string {
	all := append(f.opens(), f.closes()...)
	all = append(all, f.tools...)
	if f.toolEnd != "" {
		all = append(all, f.toolEnd)
	}
	return all
}

// opens are the markers by which a prompt shows an open block, the longer first.
func (f *format) opens() []string {
	var all []string
	for _, t := range f.tags {
		if f.label != "" {
			all = append(all, t.open+f.label)
		}
		all = append(all, t.open)
	}
	return all
}

// closes are the markers by which it shows that none is open.
func (f *format) closes() []string {
	var all []string
	for _, t := range f.tags {
		all = append(all, t.close)
	}
	if f.answer.open != "" {
		all = append(all, f.answer.open, f.answer.close)
	}
	return all
}

// end closes the thought, and opens the answer where that has a tag.
func (f *format) end() string {
	if len(f.tags) == 0 {
		return ""
	}
	return f.tags[0].close + f.answer.open
}

// registered lists the rows, for the tests.
var registered []*format

func register(f *format) {
	d, err := f.descriptor()
	if err != nil {
		panic("reasoning: " + f.name + ": " + err.Error())
	}
	registered = append(registered, f)
	reasoning.Register(d)
}

// descriptor is a row as the registry knows it.
func (f *format) descriptor() (reasoning.Descriptor, error) {
	markers := f.markers()
	hold := 0
	for i, a := range markers {
		hold = max(hold, len(a)-1)
		for j, b := range markers {
			if i != j && strings.HasPrefix(b, a) && (f.label == "" || b != a+f.label) {
				return reasoning.Descriptor{}, fmt.Errorf("marker %q begins marker %q", a, b)
			}
		}
	}
	return reasoning.Descriptor{
		Name: f.name, Aliases: f.aliases, Doc: f.doc, MaxHold: hold,
		Opens: f.opens(), Closes: f.closes(), End: f.end(), Blocks: f.blocks,
		New: func(s reasoning.Start) reasoning.Parser { return newTags(f, s) },
	}, nil
}
