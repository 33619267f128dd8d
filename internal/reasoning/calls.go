package reasoning

import "github.com/reasond/reasond/api/reasoning"

// callFormat names the keys of a tool call written as a JSON object. The
// object may stand alone or in an array of calls.
type callFormat struct{ name, arguments string }

// callScanner finds tool calls in JSON as it comes. It emits the name without
// its quotes and the arguments as they stand; all else is structure. It does
// not judge: what is no JSON has no calls. Arguments ahead of their name
// belong to no tool and are content.
type callScanner struct {
	format *callFormat
	state  callState
	key    []byte // of the value at hand
	named  bool   // the call has its name

	emits   bool // the value at hand is emitted, as kind
	kind    reasoning.Kind
	depth   int  // objects and arrays open in the value
	text    bool // in a string in it
	escaped bool // behind a backslash in a string
}

type callState uint8

const (
	noCall   callState = iota // before the object
	dueKey                    // before a key or the object's end
	inKey                     // in a key
	dueColon                  // behind a key
	dueValue                  // behind the colon
	inName                    // in the tool's name
	inText                    // in another string
	inNested                  // in an object or array
	inScalar                  // in a number or a word
	dueComma                  // behind a value
)

// read scans a piece of JSON and appends the segments that it holds.
func (c *callScanner) read(dst []reasoning.Segment, in *input, from, to int) []reasoning.Segment {
	start := from // of the value at hand, in this piece
	for p := from; p < to; p++ {
		switch b := in.at(p); c.state {
		case noCall:
			if b == '{' {
				c.state, c.named = dueKey, false
			}
		case dueKey:
			switch b {
			case '"':
				c.state, c.key = inKey, c.key[:0]
			case '}':
				c.state = noCall
			}
		case inKey:
			if b == '"' {
				c.state = dueColon
			} else if len(c.key) < maxHeader {
				c.key = append(c.key, b)
			}
		case dueColon:
			if b == ':' {
				c.state = dueValue
			}
		case dueValue:
			start = c.beginValue(b, p)
		case inScalar:
			if b == ',' || b == '}' || space(string(b)) == 1 {
				dst = c.endValue(dst, in, start, p)
				c.next(b)
			}
		case dueComma:
			c.next(b)
		default:
			if c.ends(b) {
				if c.state != inName {
					p++ // its last byte belongs to it
				}
				dst = c.endValue(dst, in, start, p)
				if c.state = dueComma; c.kind != reasoning.ToolName || !c.emits {
					p--
				}
			}
		}
	}
	return dst
}
