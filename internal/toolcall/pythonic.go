package toolcall

import (
	"errors"
	"fmt"
	"strings"

	"github.com/reasond/reasond/internal/lark"
)

func init() {
	f := &format{opens: []string{"<|python_start|>"}, skips: []string{"<|python_end|>"}, bare: "[",
		body: func(Tools, string) body { return &pythonic{state: pyOpen} }}
	register(Descriptor{
		Name: "pythonic", Aliases: []string{"llama4-pythonic", "llama4", "olmo3"},
		Doc:   "[f(a=1), g(b=\"x\")]: Python calls with literal arguments (Llama 4 and 3.2 model cards, ToolACE)",
		Opens: f.opens, New: f.new, bare: f.bare, grammar: pythonicGrammar,
	})
}

// python is how Python writes literals; strings are JSON's, which are Python's too.
var python = lark.Dialect{True: "True", False: "False", Null: "None", Item: ", ", Key: ": ", JSON: true}

func pythonicGrammar(functions []Function, w writing) (string, error) {
	return dialectGrammar(functions, w, python, "[", ", ", "]", func(name string) (string, string, error) {
		if !isSpelt(name) {
			return "", "", errors.New("the name is none of Python's")
		}
		return lark.Quote(name + "("), lark.Quote(")"), nil
	}, func(name string) (string, error) {
		if !isSpelt(name) {
			return "", errors.New("the name is none of Python's")
		}
		return name + "=", nil
	})
}

// dialectGrammar writes calls whose arguments are members of a dialect: around
// says what stands around those of a function, key what begins a member.
func dialectGrammar(functions []Function, w writing, d lark.Dialect, begin, between, end string,
	around func(name string) (before, after string, err error), key func(name string) (string, error)) (string, error) {
	g := lark.New(w.Writing)
	var calls []string
	for _, f := range functions {
		values := &lark.Values{Grammar: g, Dialect: d, Root: f.Parameters}
		before, after, err := around(f.Name)
		var members string
		if err == nil {
			members, err = values.Members(lark.Parameters(f), key)
		}
		if err != nil {
			return "", fmt.Errorf("function %.60q: %w", f.Name, err)
		}
		calls = append(calls, g.Rule(before+" "+members+" "+after))
	}
	call := g.Rule(lark.Any(calls))
	list := call
	if !w.One {
		list = strings.TrimSpace(call + " (" + g.Marks(between) + " " + call + ")*")
	}
	return g.Source(strings.TrimSpace(g.Marks(begin) + " " + list + " " + g.Marks(end))), nil
}

// pythonic reads a list of Python calls with keyword arguments, all literals.
type pythonic struct {
	state pyState
	fn    string
	key   string
	count int
	value extent
}

type pyState uint8

const (
	pyOpen pyState = iota
	pyName
	pyFirst // behind "(": an argument or ")"
	pyKey
	pyValue
	pyNext // behind a call
)

func (p *pythonic) read(m *machine, _ bool) progress {
	for {
		if !m.skipSpaces() {
			return more
		}
		if state := p.step(m); state != goOn {
			return state
		}
	}
}

func (p *pythonic) step(m *machine) progress {
	b := m.rest()[0]
	switch p.state {
	case pyOpen:
		if b != '[' {
			return broken
		}
		m.take(1)
		p.state = pyName
	case pyName:
		return p.name(m)
	case pyFirst, pyKey:
		if b == ')' {
			p.announce(m)
			m.take(1)
			m.args("}")
			m.end()
			p.state = pyNext
			return goOn
		}
		return p.keyword(m)
	case pyValue:
		return p.argument(m)
	case pyNext:
		m.take(1)
		switch b {
		case ',':
			p.state = pyName
		case ']':
			return done
		default:
			m.pos--
			return broken
		}
	}
	return goOn
}

func (p *pythonic) announce(m *machine) {
	if !m.open {
		m.begin(p.fn)
		m.args("{")
		p.count = 0
	}
}

func (p *pythonic) name(m *machine) progress {
	name, _, found := m.until("(")
	switch {
	case found == maybe && !couldName(m.rest()):
		return broken
	case found == maybe:
		return more
	case found == no || !isDotted(strings.TrimSpace(name)):
		return broken
	}
	p.fn, p.state = strings.TrimSpace(name), pyFirst
	return goOn
}

func (p *pythonic) keyword(m *machine) progress {
	from := m.pos
	name, _, found := m.until("=")
	switch {
	case found == maybe && !couldName(m.rest()):
		return broken
	case found == maybe:
		return more
	case found == no || !isDotted(strings.TrimSpace(name)):
		m.pos = from // it may be content
		return broken
	}
	p.announce(m)
	p.key, p.state, p.value = strings.TrimSpace(name), pyValue, extent{}
	return goOn
}

func (p *pythonic) argument(m *machine) progress {
	end, found := p.value.find(m.rest(), ",)")
	if !found {
		return more
	}
	v, ok := literal(string(m.rest()[:end]))
	if !ok {
		return broken
	}
	if p.count++; p.count > 1 {
		m.args(", ")
	}
	m.args(quote(p.key) + ": " + v)
	m.take(end)
	if m.rest()[0] == ',' {
		m.take(1)
	}
	p.state = pyKey
	return goOn
}

// isDotted reports whether s is a Python name, perhaps with dots or dashes, which
// functions' names have.
func isDotted(s string) bool {
	return s != "" && len(s) <= maxName && couldName([]byte(s)) && !(s[0] >= '0' && s[0] <= '9')
}

// isSpelt reports whether a name can be written so that it is read back.
func isSpelt(s string) bool { return isDotted(s) && !strings.ContainsAny(s, " \t\r\n\f\v") }

func couldName(s []byte) bool {
	for _, b := range s {
		if !(b == '_' || b == '.' || b == '-' || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80) && !isSpace(b) {
			return false
		}
	}
	return true
}

// extent finds the end of a literal without reading its text twice.
type extent struct {
	at      int
	depth   int
	quote   byte
	escaped bool
}

// find is the index of the first of the ends outside of strings and brackets.
func (e *extent) find(text []byte, ends string) (int, bool) {
	for ; e.at < len(text); e.at++ {
		b := text[e.at]
		switch {
		case e.quote != 0:
			switch {
			case e.escaped:
				e.escaped = false
			case b == '\\':
				e.escaped = true
			case b == e.quote:
				e.quote = 0
			}
		case e.depth == 0 && strings.IndexByte(ends, b) >= 0:
			return e.at, true
		case b == '"' || b == '\'':
			e.quote = b
		case b == '(' || b == '[' || b == '{':
			e.depth++
		case b == ')' || b == ']' || b == '}':
			e.depth--
		}
	}
	return 0, false
}
