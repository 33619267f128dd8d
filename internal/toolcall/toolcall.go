// Package toolcall finds tool calls in a model's content. A Parser is an
// incremental machine, one value per choice, that stands behind the reasoning
// parser and reads what that calls content; formats whose one framing carries
// everything (gpt-oss, kimi-k3, …) never get here. Its laws, held by a test over
// every registered parser:
//
//   - The result, folded, does not depend on how the text is cut into Feeds.
//   - Content's spans increase and are disjoint, and Text == input[Start:End].
//     The gaps between them are calls with their markup, and white space next to
//     a call.
//   - A call is announced once its name and the start of its arguments are
//     certain. What breaks earlier is content; what breaks later ends that call
//     with the arguments so far. Nothing is evaluated, and nothing fails.
//   - Arguments of a call that was not cut short are one JSON object.
//   - Work is linear in the input.
package toolcall

import (
	"fmt"
	"slices"
	"strings"
)

// Kind says what a Piece is.
type Kind uint8

const (
	Content   Kind = iota
	Begin          // a call is announced: Text is its name
	Arguments      // Text is the next piece of its arguments, JSON
	End            // the call is over
)

func (k Kind) String() string { return [...]string{"content", "begin", "arguments", "end"}[k] }

// Piece is what a parser found. Start and End are byte offsets in the parser's
// input, set for Content only. Every Begin has its End before the next Begin.
type Piece struct {
	Kind       Kind
	Text       string
	Start, End int
}

// Parser is one choice's machine. It is not safe for concurrent use. Returned
// pieces are appended to dst; neighbouring pieces of one kind may be cut
// differently by different cuts of the input.
type Parser interface {
	Feed(dst []Piece, text string) []Piece
	// Close flushes what is held back. The parser is of no use afterwards.
	Close(dst []Piece) []Piece
}

// Descriptor is a format's entry in the registry.
type Descriptor struct {
	Name    string   // canonical, lower case, words joined by "-"
	Aliases []string // other names that peers use
	Doc     string   // one line: format and source
	// Opens are the literals that begin a call or a block of calls; none where
	// calls are told by the shape of the whole answer.
	Opens []string
	New   func(Tools) Parser

	grammar grammarFunc
	bare    string // see format: what begins a call without a marker
}

var registry = map[string]*Descriptor{}

// register adds a format; a name twice is a programming mistake.
func register(d Descriptor) {
	for _, name := range append([]string{d.Name}, d.Aliases...) {
		name = canonical(name)
		if registry[name] != nil {
			panic("toolcall: two formats are named " + name)
		}
		registry[name] = &d
	}
}

// canonical makes the spellings of a name one: case and "_" do not matter.
func canonical(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

// Lookup finds a format by any of its names.
func Lookup(name string) (*Descriptor, error) {
	if d := registry[canonical(name)]; d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("there is no tool call parser %.60q; there are %s", name, strings.Join(Names(), ", "))
}

// Names lists the canonical names, sorted.
func Names() []string {
	var names []string
	for name, d := range registry {
		if name == d.Name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Call is a whole call.
type Call struct{ Name, Arguments string }

// Parse reads a whole answer: the content left and the calls, in order.
func Parse(d *Descriptor, tools Tools, text string) (content string, calls []Call) {
	p := d.New(tools)
	var b, args strings.Builder
	for _, piece := range p.Close(p.Feed(nil, text)) {
		switch piece.Kind {
		case Content:
			b.WriteString(piece.Text)
		case Begin:
			calls = append(calls, Call{Name: piece.Text})
		case Arguments:
			args.WriteString(piece.Text)
		case End:
			calls[len(calls)-1].Arguments = args.String()
			args.Reset()
		}
	}
	return b.String(), calls
}
