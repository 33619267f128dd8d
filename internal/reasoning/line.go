package reasoning

import "strings"

// line follows the lines of a text as it comes: whether a line starts here, and
// whether a code fence is open (CommonMark 4.5: up to three spaces, then three
// or more backticks or tildes; closed by at least as many of the same with
// nothing behind them; what follows opening backticks has no backtick in it).
// The zero value is the start of a text.
type line struct {
	part   linePart
	indent int
	char   byte // of the fence that this line may be
	run    int  // its length
	info   bool // something that is not white space follows it
	tick   bool // a backtick follows it

	open     int  // length of the fence that is open, 0 if none
	openChar byte // its character
}

type linePart uint8

const (
	inIndent linePart = iota // nothing but spaces so far
	inRun                    // in what may be a fence
	inInfo                   // behind it
	inRest                   // no fence is on this line
)

// start says whether a line starts here.
func (l *line) start() bool { return l.part == inIndent && l.indent == 0 }

// fenced says whether a code fence is open.
func (l *line) fenced() bool { return l.open > 0 }

func (l *line) read(s string) {
	for i := 0; i < len(s); i++ {
		if l.part == inRest {
			n := strings.IndexByte(s[i:], '\n')
			if n < 0 {
				return
			}
			i += n
		}
		l.byte(s[i])
	}
}

func (l *line) byte(c byte) {
	if c == '\n' {
		l.endLine()
		return
	}
	switch l.part {
	case inIndent:
		switch {
		case c == ' ' && l.indent < 3:
			l.indent++
		case c == '`' || c == '~':
			l.part, l.char, l.run = inRun, c, 1
		default:
			l.part = inRest
		}
	case inRun:
		switch {
		case c == l.char:
			l.run++
		case l.run < 3:
			l.part = inRest
		default:
			l.part = inInfo
			l.note(c)
		}
	case inInfo:
		l.note(c)
	}
}

// note reads a byte behind a fence.
func (l *line) note(c byte) {
	l.info = l.info || c != ' ' && c != '\t' && c != '\r'
	l.tick = l.tick || c == '`'
}

func (l *line) endLine() {
	open, char := l.open, l.openChar
	if l.run >= 3 && l.part != inRest {
		switch {
		case open > 0 && l.char == char && l.run >= open && !l.info:
			open = 0
		case open == 0 && !(l.char == '`' && l.tick):
			open, char = l.run, l.char
		}
	}
	*l = line{open: open, openChar: char}
}
