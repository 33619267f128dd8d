package reasoning

import "github.com/reasond/reasond/api/reasoning"

// callFormat names the keys of a tool call written as a JSON object. The
// object may stand alone or in an array of calls.
type callFormat struct{ name, arguments string }

// callScanner finds tool calls in JSON as it comes. It emits the name without
// its quotes and the arguments as they stand; all else is structure. From where
// it is no JSON any more it is content, and so are arguments ahead of their
// name: they belong to no tool.
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
	noJSON                    // behind what cannot be
)

// read scans a piece of JSON and appends the segments that it holds.
func (c *callScanner) read(dst []reasoning.Segment, in *input, from, to int) []reasoning.Segment {
	start := from // of the value at hand, in this piece
	for p := from; p < to; p++ {
		switch b := in.at(p); c.state {
		case noJSON:
			return in.emit(dst, reasoning.Content, p, to)
		case noCall, dueKey, dueColon, dueComma:
			if c.structure(b); c.state == noJSON {
				return in.emit(dst, reasoning.Content, p, to)
			}
		case inKey:
			if b == '"' {
				c.state = dueColon
			} else if len(c.key) < maxHeader {
				c.key = append(c.key, b)
			}
		case dueValue:
			if start = c.beginValue(b, p); c.state == noJSON {
				return in.emit(dst, reasoning.Content, p, to)
			}
		case inScalar:
			if b == ',' || b == '}' || b == ' ' || b >= '\t' && b <= '\r' {
				dst = c.endValue(dst, in, start, p)
				c.structure(b)
			}
		default:
			if c.ends(b) {
				end := p + 1
				if c.state == inName {
					end = p // without its quote
				}
				dst = c.endValue(dst, in, start, end)
			}
		}
	}
	if c.emits {
		dst = in.emit(dst, c.kind, start, to)
	}
	return dst
}

// structure reads a byte between values.
func (c *callScanner) structure(b byte) {
	switch {
	case b == ' ' || b >= '\t' && b <= '\r':
	case c.state == noCall && (b == '[' || b == ']' || b == ','):
	case c.state == noCall && b == '{':
		c.state, c.named = dueKey, false
	case c.state == dueKey && b == '"':
		c.state, c.key = inKey, c.key[:0]
	case c.state == dueColon && b == ':':
		c.state = dueValue
	case c.state == dueComma && b == ',':
		c.state = dueKey
	case (c.state == dueKey || c.state == dueComma) && b == '}':
		c.state = noCall
	default:
		c.state = noJSON
	}
}

// beginValue reads the first byte of a value, or white space before it. It
// returns where the value begins.
func (c *callScanner) beginValue(b byte, p int) int {
	if b == ' ' || b >= '\t' && b <= '\r' {
		return p
	}
	c.depth, c.text, c.escaped = 0, false, false
	c.emits, c.kind = string(c.key) == c.format.arguments, reasoning.ToolArguments
	if !c.named {
		c.kind = reasoning.Content
	}
	switch b {
	case '"':
		c.state, c.text = inText, true
		if string(c.key) == c.format.name {
			c.state, c.emits, c.kind, c.named = inName, true, reasoning.ToolName, true
			return p + 1
		}
	case '{', '[':
		c.state, c.depth = inNested, 1
	default:
		c.state = inScalar
		if b != '-' && (b < '0' || b > '9') && b != 't' && b != 'f' && b != 'n' {
			c.state, c.emits = noJSON, false
		}
	}
	return p
}

// ends reads a byte of a string, an object or an array, and says whether it is
// the last.
func (c *callScanner) ends(b byte) bool {
	switch {
	case c.escaped:
		c.escaped = false
	case c.text && b == '\\':
		c.escaped = true
	case b == '"':
		c.text = !c.text
		return c.state != inNested
	case c.text:
	case b == '{' || b == '[':
		c.depth++
	case b == '}' || b == ']':
		c.depth--
		return c.depth == 0
	}
	return false
}

func (c *callScanner) endValue(dst []reasoning.Segment, in *input, start, end int) []reasoning.Segment {
	if c.emits {
		dst = in.emit(dst, c.kind, start, end)
	}
	c.state, c.emits = dueComma, false
	return dst
}
