package toolcall

import "strings"

func init() {
	f := &format{opens: []string{"[TOOL_CALLS]"}, body: func(Tools, string) body { return &mistral{} }}
	register(Descriptor{
		Name:  "mistral",
		Doc:   `[TOOL_CALLS][{"name": …, "arguments": {…}}], and from v11 on [TOOL_CALLS]name[ARGS]{…} (mistral-common's tokenizers)`,
		Opens: f.opens, New: f.new, grammar: mistralGrammar,
	})
}

// mistral tells its two ways of writing calls apart by the first byte.
type mistral struct{ body }

func (c *mistral) read(m *machine, final bool) progress {
	if c.body == nil {
		if !m.skipSpaces() {
			return more
		}
		if strings.IndexByte("[{", m.rest()[0]) >= 0 {
			c.body = &envelope{}
		} else {
			c.body = &header{seps: []string{"[ARGS]"}, noSep: true, name: func(s string) string {
				name, _, _ := strings.Cut(s, "[CALL_ID]")
				return name
			}}
		}
	}
	return c.body.read(m, final)
}

// mistralGrammar writes calls in the newer way where the vocabulary has its token.
func mistralGrammar(functions []Function, w writing) (string, error) {
	if _, newer := w.Control("[ARGS]"); newer {
		return layout{bare: true, call: headerCall([]string{"[TOOL_CALLS]"}, itself, []string{"[ARGS]"}, nil)}.grammar(functions, w)
	}
	return layout{begin: []string{"[TOOL_CALLS]", "["}, between: []string{", "}, end: []string{"]"}, call: envelopeCall(nil, "arguments", nil)}.grammar(functions, w)
}
