// Package reasoning holds the built-in parsers: text becomes reasoning and
// content. Most formats put the thought between two tags; those are rows of a
// table (format) over one machine (tag.go), one file a family. The package
// knows no tokens and no request beyond reasoning.Start.
package reasoning

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// format is one row of the table: how a family writes its thought. No marker
// is the beginning of another.
type format struct {
	name    string
	aliases []string
	doc     string

	open, close string
	// tools begin tool calls. Where the request offers tools, such markup at the
	// start of a line and outside of a code fence ends the thought.
	tools []string
	// thinks is the first state where the prompt is not known.
	thinks func(reasoning.Start) bool
}

// registered lists the rows, for the tests.
var registered []*format

func register(f *format) {
	markers := append([]string{f.open, f.close}, f.tools...)
	hold := 0
	for i, a := range markers {
		hold = max(hold, len(a)-1)
		for j, b := range markers {
			if i != j && strings.HasPrefix(b, a) {
				panic("reasoning: " + f.name + ": marker " + a + " begins " + b)
			}
		}
	}
	registered = append(registered, f)
	reasoning.Register(reasoning.Descriptor{
		Name: f.name, Aliases: f.aliases, Doc: f.doc, MaxHold: hold,
		Opens: []string{f.open}, Closes: []string{f.close},
		New: func(s reasoning.Start) reasoning.Parser { return newTags(f, s) },
	})
}

// always and the like are the values of format.thinks.
func always(reasoning.Start) bool { return true }

// unlessOff: thinking is the model's habit, and a switch turns it off.
func unlessOff(s reasoning.Start) bool {
	on, given := s.Thinking()
	return on || !given
}

// ifOn: the model thinks where a switch asks for it.
func ifOn(s reasoning.Start) bool {
	on, _ := s.Thinking()
	return on
}
