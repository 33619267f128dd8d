package grammar

import (
	"fmt"
	"strings"
)

// fromEBNF makes Lark of GBNF (llama.cpp, grammars/README.md) or of XGrammar's
// EBNF, which differ in little:
//
//	root ::= "a" [0-9]+ ("b" | c)? d{2,3}   # a comment
//
// A text with rules in Lark's way (name: …) is passed on as it is. An error
// names the line.
func fromEBNF(source string) (string, error) {
	if !strings.Contains(source, "::=") {
		if strings.TrimSpace(source) == "" {
			return "", fmt.Errorf("the grammar is empty")
		}
		return source, nil
	}
	p := &ebnf{text: source, rules: map[string]bool{}, used: map[string]int{}}
	if err := p.grammar(); err != nil {
		return "", fmt.Errorf("line %d: %w", p.line(), err)
	}
	if !p.rules["root"] {
		return "", fmt.Errorf("the grammar has no rule root")
	}
	for name, line := range p.used {
		if !p.rules[name] {
			return "", fmt.Errorf("line %d: there is no rule %s", line, name)
		}
	}
	return "start: " + ruleName("root") + "\n" + p.out.String(), nil
}

// ebnf writes Lark while it reads.
type ebnf struct {
	text  string
	at    int
	out   strings.Builder
	rules map[string]bool
	used  map[string]int // name → line
	depth int
}

const maxNesting = 200

func (p *ebnf) line() int { return 1 + strings.Count(p.text[:min(p.at, len(p.text))], "\n") }

func (p *ebnf) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// skip takes white space and comments; lines says whether line ends too.
func (p *ebnf) skip(lines bool) {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' && lines:
			p.at++
		case c == '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		default:
			return
		}
	}
}

func isName(c byte) bool {
	return c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func (p *ebnf) name() (string, error) {
	start := p.at
	for p.at < len(p.text) && isName(p.text[p.at]) {
		p.at++
	}
	if start == p.at {
		return "", fmt.Errorf("a name must stand before %.20q", p.text[p.at:])
	}
	return p.text[start:p.at], nil
}

// ruleName is a name as Lark takes it, where case tells rules from terminals.
func ruleName(name string) string {
	var b strings.Builder
	b.WriteString("r_")
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-' || c == '.':
			b.WriteString("_d")
		case c == '_':
			b.WriteString("_u")
		case c >= 'A' && c <= 'Z':
			b.WriteByte('_')
			b.WriteByte(c | 0x20)
			b.WriteByte('c')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (p *ebnf) grammar() error {
	for p.skip(true); p.at < len(p.text); p.skip(true) {
		name, err := p.name()
		if err != nil {
			return err
		}
		if p.rules[name] {
			return fmt.Errorf("rule %s is there twice", name)
		}
		p.rules[name] = true
		p.skip(true)
		if !strings.HasPrefix(p.text[p.at:], "::=") {
			return fmt.Errorf(`"::=" must stand behind %s`, name)
		}
		p.at += 3
		p.out.WriteString(ruleName(name) + ": ")
		if err := p.alternatives(true); err != nil {
			return err
		}
		p.out.WriteByte('\n')
	}
	return nil
}

// alternatives reads a | b; at the top level the rule ends where the next one
// begins.
func (p *ebnf) alternatives(top bool) error {
	if p.depth++; p.depth > maxNesting {
		return fmt.Errorf("nests deeper than %d", maxNesting)
	}
	defer func() { p.depth-- }()
	for n := 0; ; n++ {
		if n > 0 {
			p.out.WriteString(" | ")
		}
		if err := p.sequence(top); err != nil {
			return err
		}
		p.skip(true)
		if p.peek() != '|' {
			return nil
		}
		p.at++
	}
}

// begins reports whether a new rule begins here.
func (p *ebnf) begins() bool {
	saved := p.at
	defer func() { p.at = saved }()
	if _, err := p.name(); err != nil {
		return false
	}
	p.skip(true)
	return strings.HasPrefix(p.text[p.at:], "::=")
}

func (p *ebnf) sequence(top bool) error {
	items := 0
	for {
		p.skip(true)
		c := p.peek()
		if c == 0 || c == '|' || c == ')' || top && isName(c) && p.begins() {
			break
		}
		if items > 0 {
			p.out.WriteByte(' ')
		}
		items++
		if err := p.item(); err != nil {
			return err
		}
		if err := p.repeat(); err != nil {
			return err
		}
	}
	if items == 0 {
		p.out.WriteString(`""`)
	}
	return nil
}

func (p *ebnf) item() error {
	switch c := p.peek(); {
	case c == '"':
		return p.literal()
	case c == '[':
		return p.class()
	case c == '.':
		p.at++
		p.out.WriteString(`/(?s:.)/`)
		return nil
	case c == '(':
		p.at++
		p.out.WriteByte('(')
		if err := p.alternatives(false); err != nil {
			return err
		}
		if p.skip(true); p.peek() != ')' {
			return fmt.Errorf(`")" is missing`)
		}
		p.at++
		p.out.WriteByte(')')
		return nil
	case isName(c):
		line := p.line()
		name, err := p.name()
		if err != nil {
			return err
		}
		if _, met := p.used[name]; !met {
			p.used[name] = line
		}
		p.out.WriteString(ruleName(name))
		return nil
	}
	return fmt.Errorf("%.20q is no part of a grammar", p.text[p.at:])
}

// literal copies a string; its escapes are those of regular expressions.
func (p *ebnf) literal() error {
	start := p.at
	for p.at++; p.at < len(p.text) && p.text[p.at] != '"' && p.text[p.at] != '\n'; p.at++ {
		if p.text[p.at] == '\\' {
			p.at++
		}
	}
	if p.peek() != '"' {
		return fmt.Errorf("a string has no end")
	}
	p.at++
	text, err := unescape(p.text[start+1 : p.at-1])
	if err != nil {
		return err
	}
	p.out.WriteString(Quote(text))
	return nil
}

// class copies [a-z], whose escapes Lark's regular expressions share.
func (p *ebnf) class() error {
	start := p.at
	for p.at++; p.at < len(p.text) && p.text[p.at] != ']'; p.at++ {
		if p.text[p.at] == '\\' {
			p.at++
		}
	}
	if p.peek() != ']' {
		return fmt.Errorf("a character class has no end")
	}
	p.at++
	class := strings.NewReplacer("/", `\/`, "[", `\[`, "\n", `\n`, "&&", `&\&`, "--", `-\-`, "~~", `~\~`).Replace(p.text[start+1 : p.at-1])
	if class == "" || class == "^" {
		return fmt.Errorf("an empty character class")
	}
	class, err := codePoints(class)
	if err != nil {
		return err
	}
	p.out.WriteString("/[" + class + "]/")
	return nil
}

// repeat copies ?, *, + and {2,3}.
func (p *ebnf) repeat() error {
	switch c := p.peek(); c {
	case '?', '*', '+':
		p.at++
		p.out.WriteByte(c)
	case '{':
		end := strings.IndexByte(p.text[p.at:], '}')
		if end < 0 {
			return fmt.Errorf(`"}" is missing`)
		}
		count := p.text[p.at : p.at+end+1]
		if strings.Trim(count, "{}0123456789, ") != "" || len(count) < 3 {
			return fmt.Errorf("%.20q is no count", count)
		}
		p.at += end + 1
		p.out.WriteString(strings.ReplaceAll(count, " ", ""))
	}
	return nil
}
