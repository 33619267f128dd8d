// Package reasoning splits a model's raw text into reasoning and content.
//
// A Parser is an incremental machine, one value per choice. Its laws, held by
// a test over every registered parser:
//
//   - The result does not depend on how the text is cut into Feeds.
//   - Spans increase and are disjoint, Text == raw[Start:End], and the gaps
//     between them are marker bytes (or white space that the format drops).
//     The one segment with other text is Descriptor.Prefix, of no width.
//   - After each Feed, what is held back is a proper prefix of a marker, or
//     white space before a possible opening marker, and at most
//     Descriptor.MaxHold bytes.
//   - It never fails: malformed markup degrades to content.
//
// Parsing a whole answer is Feed(all) and Close. The package imports only the
// standard library; reasoning/builtin registers the built-in parsers.
package reasoning

// Kind says what a Segment is.
type Kind uint8

const (
	Reasoning Kind = iota
	Content
	ToolName      // only from formats whose one framing carries tools too
	ToolArguments // likewise
)

func (k Kind) String() string {
	return [...]string{"reasoning", "content", "tool_name", "tool_arguments"}[k]
}

// Segment is a piece of one kind. Start and End are byte offsets in the
// choice's raw text, counted from its first Feed.
type Segment struct {
	Kind       Kind
	Start, End int
	Text       string
}

// Open says whether the prompt left a reasoning block open, so that the
// model's first byte is already reasoning.
type Open uint8

const (
	OpenUnknown Open = iota // the prompt is not known: the parser's own rule decides
	OpenYes
	OpenNo
)

// Start is all that decides a parser's markers and first state.
type Start struct {
	Open     Open
	Effort   string          // reasoning_effort, if given
	Switches map[string]bool // enable_thinking, thinking, … as the request gave them
	HasTools bool            // the request offers tools
	Token    func(string) bool
	// Token reports whether a string is one token of the model's vocabulary;
	// nil when the vocabulary is not known.
}

// Thinking is the switch as the request gave it, whichever of its names it
// used; ok is false where it said nothing.
func (s Start) Thinking() (on, ok bool) {
	for _, name := range []string{"enable_thinking", "thinking"} {
		if v, given := s.Switches[name]; given {
			return v, true
		}
	}
	if s.Effort == "none" {
		return false, true
	}
	return false, false
}

// Parser is one choice's machine. It is not safe for concurrent use. Returned
// segments are appended to dst; their Text does not alias it. Neighbouring
// segments of one kind may be split differently by different cuts of the
// input; folded together they are the same.
type Parser interface {
	Feed(dst []Segment, text string) []Segment
	// Close flushes what is held back. The parser is of no use afterwards.
	Close(dst []Segment) []Segment
}

// Stage says what the next byte of an answer is, as far as what came before
// decides.
type Stage uint8

const (
	Undecided   Stage = iota // a thought may open, or the answer begin; or a frame's header is not over
	InReasoning              // reasoning, or the marker that ends it
	InAnswer                 // content; where its format does not tell them apart, or a tool call
	InCall                   // a tool call in a frame of its own
)

func (s Stage) String() string { return [...]string{"undecided", "reasoning", "answer", "call"}[s] }

// Stager is a Parser that knows its stage. What is held back counts as the
// beginning of a marker that does not come: the stage is that of its text.
type Stager interface {
	Parser
	Stage() Stage
}

// Descriptor is a parser's entry in the registry.
type Descriptor struct {
	Name    string   // canonical, lower case, words joined by "-"
	Aliases []string // other names that peers use
	Doc     string   // one line: format and source
	MaxHold int      // most bytes ever held back, white space runs excepted
	// Opens and Closes are the markers by which a prompt's last turn shows
	// whether a reasoning block is open.
	Opens, Closes []string
	// End is what ends an open thought and begins the answer, as the model writes
	// it; "" where the format has no such thing.
	End string
	// Tools is set where the machine emits tool segments itself. Each name
	// begins a call, whose arguments follow it.
	Tools bool
	// Arguments makes JSON of a call's arguments, folded, where the format
	// writes them in another way; nil where they are JSON.
	Arguments func(raw string) string
	// Grammar writes, in llguidance's dialect of Lark, the grammar of a whole answer
	// with calls of the functions, thoughts and markers included, that follows a
	// prompt without Opens or, where it ends with the first of these, them. An error
	// says why no answer can be held to it. Only where Tools is set; nil: the format
	// has none.
	Grammar func(functions []Function, w Writing) (string, error)
	// Blocks is set where a thought may come after content.
	Blocks bool
	// Prefix is what the content begins with though the model did not write it:
	// a segment of no width, which the first Feed appends.
	Prefix string
	New    func(Start) Parser
}
