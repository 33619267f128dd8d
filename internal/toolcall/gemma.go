package toolcall

import (
	"bytes"
	"errors"
	"strings"

	"github.com/reasond/reasond/internal/lark"
)

func init() {
	gemma4 := &format{opens: []string{"<|tool_call>"}, body: gemmaBody(`<|"|>`, "<tool_call|>")}
	register(Descriptor{
		Name: "gemma", Aliases: []string{"gemma4"},
		Doc:   "<|tool_call>call:f{k:<|\"|>text<|\"|>,n:3}<tool_call|> (Gemma 4's chat template)",
		Opens: gemma4.opens, New: gemma4.new, grammar: gemmaGrammar("<|tool_call>", `<|"|>`, "<tool_call|>"),
	})
	function := &format{opens: []string{"<start_function_call>"}, body: gemmaBody("<escape>", "<end_function_call>")}
	register(Descriptor{
		Name: "functiongemma", Aliases: []string{"function-gemma"},
		Doc:   "<start_function_call>call:f{k:<escape>text<escape>}<end_function_call> (FunctionGemma's model card)",
		Opens: function.opens, New: function.new, grammar: gemmaGrammar("<start_function_call>", "<escape>", "<end_function_call>"),
	})
}

// gemmaGrammar writes members in the order of their names, as the templates do.
func gemmaGrammar(open, quote, end string) grammarFunc {
	words := lark.Dialect{True: "true", False: "false", Null: "null", Quotes: quote, Bare: true, Item: ",", Key: ":", Sorted: true}
	return func(functions []Function, w writing) (string, error) {
		return dialectGrammar(functions, w, words, "", "", "", func(name string) (string, string, error) {
			if !isSpelt(name) {
				return "", "", errors.New("the name is no word")
			}
			return w.text(open) + " " + lark.Quote("call:"+name+"{"), lark.Quote("}") + " " + w.text(end), nil
		}, func(name string) (string, error) {
			if !lark.IsWord(name) {
				return "", errors.New("the name is no word")
			}
			return name + ":", nil
		})
	}
}

func gemmaBody(quote, end string) func(Tools, string) body {
	return func(tools Tools, _ string) body { return &gemma{quote: []byte(quote), close: end, tools: tools} }
}

// gemma reads call:name{key:value,…}: keys are bare words; strings stand between
// quote markers; objects and lists nest.
type gemma struct {
	quote []byte
	close string
	tools Tools

	state gemmaState
	fn    string
	key   string
	count int
	at    int // bytes of the value that have been looked at
	depth int
	text  bool // between quote markers
}

type gemmaState uint8

const (
	gemmaCall gemmaState = iota
	gemmaName
	gemmaKey
	gemmaValue
	gemmaEnd
)

func (g *gemma) read(m *machine, final bool) progress {
	for {
		if g.state != gemmaValue && !m.skipSpaces() {
			if final && g.state == gemmaEnd {
				return done
			}
			return more
		}
		if p := g.step(m, final); p != goOn {
			return p
		}
	}
}

func (g *gemma) step(m *machine, final bool) progress {
	switch g.state {
	case gemmaCall:
		if _, found := m.literal(final, "call:"); found != yes {
			return map[match]progress{maybe: more, no: broken}[found]
		}
		g.state = gemmaName
	case gemmaName:
		name, _, found := untilBrace(m)
		if found != yes {
			return map[match]progress{maybe: more, no: broken}[found]
		}
		if g.fn = strings.TrimSpace(name); !isDotted(g.fn) {
			return broken
		}
		m.begin(g.fn)
		m.args("{")
		g.state = gemmaKey
	case gemmaKey:
		if m.rest()[0] == '}' {
			m.take(1)
			m.args("}")
			m.end()
			g.state = gemmaEnd
			return goOn
		}
		key, _, found := m.until(":")
		if found != yes {
			return map[match]progress{maybe: more, no: broken}[found]
		}
		key = strings.TrimSpace(strings.ReplaceAll(key, string(g.quote), ""))
		g.key, g.state, g.at, g.depth, g.text = strings.Trim(key, `"`), gemmaValue, 0, 0, false
	case gemmaValue:
		return g.value(m)
	case gemmaEnd:
		if _, found := m.literal(final, g.close); found == maybe {
			return more
		}
		return done
	}
	return goOn
}

// untilBrace is the name before "{".
func untilBrace(m *machine) (string, string, match) {
	rest := m.rest()
	i := bytes.IndexByte(rest[:min(len(rest), maxName+1)], '{')
	switch {
	case i >= 0:
		name := string(rest[:i])
		m.take(i + 1)
		return name, "{", yes
	case len(rest) > maxName || !couldName(rest):
		return "", "", no
	}
	return "", "", maybe
}

// value takes a value whole: up to the comma or brace behind it.
func (g *gemma) value(m *machine) progress {
	rest := m.rest()
	for g.at < len(rest) {
		b := rest[g.at]
		if b == g.quote[0] {
			switch n := min(len(g.quote), len(rest)-g.at); {
			case n == len(g.quote) && bytes.Equal(rest[g.at:g.at+n], g.quote):
				g.text = !g.text
				g.at += n
				continue
			case n < len(g.quote) && bytes.Equal(rest[g.at:], g.quote[:n]):
				return more
			}
		}
		switch {
		case g.text:
		case b == '{' || b == '[':
			g.depth++
		case g.depth > 0 && (b == '}' || b == ']'):
			g.depth--
		case g.depth == 0 && (b == '}' || b == ','):
			return g.endValue(m, string(rest[:g.at]), b)
		}
		g.at++
	}
	return more
}

func (g *gemma) endValue(m *machine, text string, next byte) progress {
	v, ok := gemmaLiteral(strings.TrimSpace(text), string(g.quote))
	if !ok {
		v = g.tools.kind(g.fn, g.key).value(strings.TrimSpace(text), true) // without markers
	}
	if g.count++; g.count > 1 {
		m.args(", ")
	}
	m.args(quote(g.key) + ": " + v)
	m.take(len(text))
	if next == ',' {
		m.take(1)
	}
	g.state = gemmaKey
	return goOn
}

// gemmaLiteral makes JSON of a value whose strings stand between markers and
// whose keys are bare.
func gemmaLiteral(text, mark string) (string, bool) {
	var b strings.Builder
	for n, part := range strings.Split(text, mark) {
		if n%2 == 1 {
			b.WriteString(quote(part))
			continue
		}
		b.WriteString(quoteKeys(part))
	}
	if strings.Count(text, mark)%2 == 1 {
		return "", false
	}
	return literal(b.String())
}

// quoteKeys puts quotes around the bare words before colons.
func quoteKeys(s string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, ':')
		if i < 0 {
			break
		}
		start := i
		for start > 0 && strings.IndexByte("{},[] \t\n", s[start-1]) < 0 {
			start--
		}
		b.WriteString(s[:start])
		if key := s[start:i]; key != "" && key[0] != '"' {
			b.WriteString(quote(key))
		} else {
			b.WriteString(key)
		}
		b.WriteByte(':')
		s = s[i+1:]
	}
	return b.String() + s
}
