package reasoning

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// framing is a row of the second table: formats that wrap every part of an
// answer, thought, text and tool calls, in frames of their own. The machine is
// in framed.go, the rows are one file a family.
//
// An answer is always in one frame. The frame between others is where it
// starts, unless the prompt left a thought open, and where a closing marker
// leads. A marker either leads straight to a frame, or begins a header: text
// up to a further marker that says which frame follows.
type framing struct {
	name    string
	aliases []string
	doc     string

	opens, closes []string // as in reasoning.Descriptor
	ends          string   // Descriptor.End
	// between are the markers between frames; header those that may stand in a
	// header or end it; body those that end a frame of reasoning or content.
	// In none of them does a marker begin another.
	between, header, body []mark
	// head is the frame that a header leads to.
	head func(header) frame
	// inner are the frames with markers of their own that head leads to.
	inner []frame
	// first is the frame that an answer starts in, unless that is a thought.
	first frame
	// open is the thought that the prompt opened, text what is outside of all
	// frames. They are thought and content unless the row says otherwise.
	open, text frame
	// echo: a bare name may stand between frames. It is dropped where a marker
	// follows it.
	echo bool
	// thinks is the first state where the prompt is not known; nil is never.
	thinks func(reasoning.Start) bool
	// arguments is Descriptor.Arguments.
	arguments func(string) string
	// turn is how its model writes an answer.
	turn *turn
}

// mark is a marker and where it leads.
type mark struct {
	text  string
	does  action
	frame frame // for enter
	feed  bool  // a line break behind the marker belongs to it
	peek  int   // how many of its last bytes are text that follows
}

type action uint8

const (
	enter  action = iota // mark.frame begins
	skip                 // nothing: the marker is dropped where it stands
	begin                // a header begins
	maybe                // a header begins, if a marker follows before the line or the limit ends; otherwise it was text
	extend               // the header goes on: the marker is part of it
	end                  // the header ends
)

// frame is a part of an answer.
type frame struct {
	kind  frameKind
	marks []mark // that end it; the row's own where nil
	// tool frames are dropped where the request has no tools.
	tool bool
	call *callFormat // for inCalls
	// name is the tool's name as a range of the header's text; empty if the frame names none.
	name [2]int
}

type frameKind uint8

const (
	inBetween   frameKind = iota // white space is dropped; other text begins a frame of content
	inReasoning                  // text is reasoning
	inContent                    // text is content
	inArguments                  // text is a tool call's arguments
	inCalls                      // text is JSON that holds names and arguments
	inDropped                    // text is markup
	inSame                       // the frame before the header goes on
)

// thought, content and so on are the frames that end with the row's markers.
var (
	outside   = frame{kind: inBetween}
	thought   = frame{kind: inReasoning}
	content   = frame{kind: inContent}
	arguments = frame{kind: inArguments, tool: true}
	dropped   = frame{kind: inDropped}
	same      = frame{kind: inSame}
)

// header is what stands between the markers that begin and end it.
type header struct {
	text   string // the marker that began it included, and markers of its own
	opener int    // length of that marker
}

// opened is the marker that began the header, rest what follows it.
func (h header) opened() string { return h.text[:h.opener] }
func (h header) rest() string   { return h.text[h.opener:] }

// maxHeader is the longest run of text in a header, in bytes. What is longer,
// or has a line end in it, is not a header but text.
const maxHeader = 256

// framings lists the rows, for the tests.
var framings []*framing

func registerFraming(f *framing) {
	if f.open.kind == inBetween {
		f.open = thought
	}
	if f.text.kind == inBetween {
		f.text = content
	}
	hold := 0
	for _, set := range f.sets() {
		for i, a := range set {
			hold = max(hold, len(a.text))
			for j, b := range set {
				if i != j && strings.HasPrefix(b.text, a.text) {
					panic("reasoning: " + f.name + ": marker " + a.text + " begins " + b.text)
				}
			}
		}
	}
	if f.header != nil {
		hold += maxHeader
	}
	framings = append(framings, f)
	var grammar func([]reasoning.Function, reasoning.Writing) (string, error)
	if f.turn != nil {
		grammar = f.turn.grammar
	}
	reasoning.Register(reasoning.Descriptor{
		Grammar: grammar,
		Name:    f.name, Aliases: f.aliases, Doc: f.doc, MaxHold: hold,
		Opens: f.opens, Closes: f.closes, End: f.ends, Tools: f.hasTools(), Arguments: f.arguments,
		New: func(s reasoning.Start) reasoning.Parser { return newFramed(f, s) },
	})
}

// hasTools says whether a row has frames of tool calls.
func (f *framing) hasTools() bool {
	for _, set := range f.sets() {
		for _, m := range set {
			if m.frame.tool {
				return true
			}
		}
	}
	return f.head != nil
}

// sets are all the sets of markers of a row.
func (f *framing) sets() [][]mark {
	sets := [][]mark{f.between, f.header, f.body}
	for _, inner := range append(f.inner, f.first, f.open, f.text) {
		sets = append(sets, inner.marks)
	}
	for i := 0; i < len(sets); i++ {
		for _, m := range sets[i] {
			if m.frame.marks != nil && !seen(sets, m.frame.marks) {
				sets = append(sets, m.frame.marks)
			}
		}
	}
	return sets
}

func seen(sets [][]mark, marks []mark) bool {
	for _, s := range sets {
		if len(s) > 0 && len(marks) > 0 && &s[0] == &marks[0] {
			return true
		}
	}
	return false
}
