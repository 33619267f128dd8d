package reasoning

import "github.com/reasond/reasond/api/reasoning"

func init() {
	register(&format{
		name:    "minimax",
		aliases: []string{"minimax-m2"},
		doc:     "<think>…</think>, open from the start; a <minimax:tool_call> ends the thought (MiniMax-M2)",
		tags:    think,
		tools:   []string{"<minimax:tool_call>"},
		thinks:  always,
	})
	// In its history, turns without a thought begin with the closing tag alone,
	// which the model may repeat.
	register(&format{
		name:   "minimax-m3",
		doc:    "<mm:think>…</mm:think> where thinking is switched on; a closing tag at the start of an answer is dropped (MiniMax-M3)",
		tags:   []tag{{"<mm:think>", "</mm:think>"}},
		stray:  true,
		thinks: ifOn,
	})
	reasoning.Register(reasoning.Descriptor{
		Name:    "minimax-append-think",
		Aliases: []string{"minimax-m2-append-think"},
		Doc:     "nothing is separated: the answer gets back the <think> that the prompt ended with (MiniMax-M2)",
		Opens:   []string{prepended}, Closes: []string{"</think>"}, Prefix: prepended,
		New: func(reasoning.Start) reasoning.Parser { return &appendThink{} },
	})
}

// prepended is the tag that minimax-append-think puts before the answer.
const prepended = "<think>"

// appendThink makes one content of the whole answer, with the opening tag
// before it. An answer without text stays without.
type appendThink struct{ off int }

// Stage implements reasoning.Stager.
func (m *appendThink) Stage() reasoning.Stage { return reasoning.InAnswer }

// Feed implements reasoning.Parser.
func (m *appendThink) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	if text == "" {
		return dst
	}
	if m.off == 0 {
		dst = append(dst, reasoning.Segment{Kind: reasoning.Content, Text: prepended})
	}
	start := m.off
	m.off += len(text)
	return append(dst, reasoning.Segment{Kind: reasoning.Content, Start: start, End: m.off, Text: text})
}

// Close implements reasoning.Parser.
func (m *appendThink) Close(dst []reasoning.Segment) []reasoning.Segment { return dst }
