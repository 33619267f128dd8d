package toolcall

func init() {
	minimax := &markup{
		call: `<invoke name="`, nameEnds: []string{`">`}, param: `<parameter name="`, paramEnds: []string{`">`},
		close: "</parameter>", end: "</invoke>", block: "</minimax:tool_call>",
	}
	f := &format{opens: []string{"<minimax:tool_call>"}, body: minimax.body}
	register(Descriptor{
		Name: "minimax-m2", Aliases: []string{"minimax"},
		Doc:   `<minimax:tool_call><invoke name="f"><parameter name="k">v</parameter></invoke></minimax:tool_call> (MiniMax-M2's tool calling guide)`,
		Opens: f.opens, New: f.new, grammar: minimax.grammar("<minimax:tool_call>"),
	})
	m3 := &nested{mark: "]<]minimax[>[", block: "tool_call", call: "invoke", item: "item"}
	g := &format{opens: []string{m3.mark}, body: m3.body}
	register(Descriptor{
		Name:  "minimax-m3",
		Doc:   `]<]minimax[>[<tool_call>, then ]<]minimax[>[<invoke name="f">]<]minimax[>[<k>v]<]minimax[>[</k>]<]minimax[>[</invoke> (MiniMax-M3's chat template)`,
		Opens: g.opens, New: g.new, grammar: m3.grammar,
	})
}
