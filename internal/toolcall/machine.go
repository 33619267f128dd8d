package toolcall

import "strings"

// format is what the outer machine must know of a family.
type format struct {
	opens []string // each begins a block
	// skips are markers around blocks that mean nothing by themselves.
	skips []string
	// bare lets a block begin without a marker, at the first byte that is not
	// white space, where that byte is one of these.
	bare string
	// body makes the reader of a block; opener is "" for a bare one.
	body func(tools Tools, opener string) body
}

// body reads a block. It sees what it has not taken yet, takes of it by m.take,
// and announces calls. final: no more text will come.
type body interface {
	read(m *machine, final bool) progress
}

type progress uint8

const (
	more   progress = iota // the block goes on, with more text
	done                   // the block is over
	broken                 // from here on this is no call
)

// maxPending bounds what is held back before a call is announced.
const maxPending = 16 << 10

// machine is the Parser of every format: it looks for blocks in content and
// lends them to the format's body.
type machine struct {
	format *format
	tools  Tools
	out    []Piece

	data []byte // input from offset base on that no piece covers yet
	base int
	pos  int  // data[:pos] has been looked at, or taken by the body
	body body // nil: outside
	from int  // in data: where the content begins that a broken block gives back
	give int  // of that at least so many bytes are content, then openers are looked for again
	open bool // a call is announced
	near bool // nothing but white space since a call's end, or since the start
	met  bool // there has been a call
}

func (f *format) new(tools Tools) Parser {
	return &machine{format: f, tools: tools, near: true}
}

// Feed implements Parser.
func (m *machine) Feed(dst []Piece, text string) []Piece {
	m.out = dst
	m.data = append(m.data, text...)
	m.run(false)
	return m.out
}

// Close implements Parser.
func (m *machine) Close(dst []Piece) []Piece {
	m.out = dst
	m.run(true)
	return m.out
}

func (m *machine) run(final bool) {
	for {
		if m.body == nil {
			if !m.outside(final) {
				return
			}
			continue
		}
		switch state := m.body.read(m, final); {
		case state == done:
			m.end()
			m.body, m.near = nil, true
			m.drop(m.pos)
		case final && m.open: // cut short: what has come of the call is all
			m.end()
			m.drop(len(m.data))
			return
		case state == broken, final, !m.open && m.pos-m.from > maxPending:
			m.giveBack()
		default:
			if m.open {
				m.drop(m.pos)
			}
			return
		}
	}
}

// giveBack leaves a block that broke. A call that is announced ends here; text
// that led to none is content.
func (m *machine) giveBack() {
	m.body = nil
	if m.open {
		m.end()
		m.near = true
		m.drop(m.pos)
		return
	}
	n := min(m.give, len(m.data)-m.from)
	m.drop(m.from)
	m.content(n)
	m.near = n == 0 // behind a call
}

// outside looks for the next block and reports whether one begins.
func (m *machine) outside(final bool) bool {
	if m.near {
		n := m.spaces(0)
		switch {
		case n < len(m.data) && m.beginsBare(n):
			return true
		case n == len(m.data) && !final: // it may stand next to a call
			return false
		case n == len(m.data): // what follows the last call is dropped
			if m.met {
				m.drop(n)
			} else {
				m.content(n)
			}
			return false
		}
		at, lit, partial := m.find(n, final)
		if at == n && !partial {
			m.drop(n)
			return m.enter(lit)
		}
		if at == n {
			return false
		}
		m.near = false
		m.pos = 0
	}
	at, lit, partial := m.find(m.pos, final)
	switch {
	case at < 0:
		m.content(len(m.data))
		return false
	case partial:
		m.content(at)
		return false
	}
	m.content(at)
	return m.enter(lit)
}

// enter begins a block at data[0], where lit stands.
func (m *machine) enter(lit string) bool {
	for _, s := range m.format.skips {
		if s == lit {
			m.drop(len(lit))
			m.near = true
			return true
		}
	}
	m.from, m.give, m.pos = 0, len(lit), len(lit)
	m.body = m.format.body(m.tools, lit)
	return true
}

func (m *machine) beginsBare(n int) bool {
	if strings.IndexByte(m.format.bare, m.data[n]) < 0 {
		return false
	}
	m.from, m.give, m.pos = 0, n+1, n
	m.body = m.format.body(m.tools, "")
	return true
}

// find looks for the first marker from an index on, see firstOf.
func (m *machine) find(from int, final bool) (at int, lit string, partial bool) {
	return firstOf(m.data, from, final, m.format.opens, m.format.skips)
}

// firstOf is where the first of the literals stands; partial: data ends in what
// may be the beginning of one. at is -1 where there is none. The data is read
// once, whether or not a literal occurs.
func firstOf(data []byte, from int, final bool, lists ...[]string) (at int, lit string, partial bool) {
	for i := from; i < len(data); i++ {
		for _, list := range lists {
			for _, s := range list {
				if s[0] != data[i] {
					continue
				}
				n := min(len(s), len(data)-i)
				switch {
				case string(data[i:i+n]) != s[:n]:
				case n < len(s):
					partial = partial || !final
				case len(s) > len(lit):
					lit = s
				}
			}
		}
		if lit != "" || partial {
			return i, lit, partial
		}
	}
	return -1, "", false
}

func (m *machine) spaces(i int) int {
	for i < len(m.data) && isSpace(m.data[i]) {
		i++
	}
	return i
}

// content emits the first n bytes of data.
func (m *machine) content(n int) {
	if n > 0 {
		m.out = append(m.out, Piece{Kind: Content, Text: string(m.data[:n]), Start: m.base, End: m.base + n})
	}
	m.drop(n)
}

// drop forgets the first n bytes of data.
func (m *machine) drop(n int) {
	m.data = m.data[n:]
	m.base += n
	m.pos = max(m.pos-n, 0)
	m.from = 0
}

// What bodies use.

// rest is what the body has not taken.
func (m *machine) rest() []byte { return m.data[m.pos:] }

func (m *machine) take(n int) { m.pos += n }

// skipSpaces takes white space and reports whether anything is left.
func (m *machine) skipSpaces() bool {
	m.pos = m.spaces(m.pos)
	return m.pos < len(m.data)
}

// begin announces a call.
func (m *machine) begin(name string) {
	m.out = append(m.out, Piece{Kind: Begin, Text: name})
	m.open, m.met = true, true
}

func (m *machine) args(text string) {
	if text != "" {
		m.out = append(m.out, Piece{Kind: Arguments, Text: text})
	}
}

// end closes the call that is announced. What is taken so far is settled: a
// block that breaks behind it gives back only what came later.
func (m *machine) end() {
	if !m.open {
		return
	}
	m.open = false
	m.out = append(m.out, Piece{Kind: End})
	m.drop(m.pos)
	m.give = 0
}

// match is how the rest begins: with a literal (taken), with what may become
// one, or otherwise.
type match uint8

const (
	no match = iota
	maybe
	yes
)

// literal takes the first of the literals that the rest begins with.
func (m *machine) literal(final bool, lits ...string) (string, match) {
	rest := string(m.data[m.pos:min(len(m.data), m.pos+maxLiteral)])
	best, partial := "", false
	for _, s := range lits {
		switch {
		case strings.HasPrefix(rest, s):
			if len(s) > len(best) {
				best = s
			}
		case len(rest) < len(s) && strings.HasPrefix(s, rest) && !final:
			partial = true
		}
	}
	switch {
	case best != "":
		m.take(len(best))
		return best, yes
	case partial:
		return "", maybe
	}
	return "", no
}

// maxLiteral is longer than every marker.
const maxLiteral = 64

// maxName bounds a function's or parameter's name.
const maxName = 256

// until is the text before the first of the ends (which is taken when it was
// found), bounded by maxName and without line ends.
func (m *machine) until(ends ...string) (text, end string, found match) {
	rest := string(m.data[m.pos:min(len(m.data), m.pos+maxName+maxLiteral)])
	at := -1
	for _, s := range ends {
		if i := strings.Index(rest, s); i >= 0 && (at < 0 || i < at || i == at && len(s) > len(end)) {
			at, end = i, s
		}
	}
	head := rest
	if at >= 0 {
		head = rest[:at]
	}
	if len(head) > maxName || at < 0 && len(rest) >= maxName+maxLiteral || strings.ContainsAny(head, "\n\r{}") {
		return "", "", no
	}
	if at < 0 {
		return "", "", maybe
	}
	m.take(at + len(end))
	return head, end, yes
}
