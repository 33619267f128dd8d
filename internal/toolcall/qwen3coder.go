package toolcall

func init() {
	coder := markup{
		call: "<function=", nameEnds: []string{">"}, param: "<parameter=", paramEnds: []string{">"},
		close: "</parameter>", end: "</function>", block: "</tool_call>", trim: true,
	}
	f := &format{opens: []string{"<tool_call>"}, body: coder.body}
	register(Descriptor{
		Name: "qwen3-coder", Aliases: []string{"qwen3-xml", "step3p5", "nemotron-3", "mimo"},
		Doc:   "<tool_call><function=f><parameter=k>value</parameter></function></tool_call> (Qwen3-Coder's chat template)",
		Opens: f.opens, New: f.new, grammar: coder.grammar("<tool_call>"),
	})
	seed := coder
	seed.block, seed.trim = "</seed:tool_call>", false
	g := &format{opens: []string{"<seed:tool_call>"}, body: seed.body}
	register(Descriptor{
		Name: "seed-oss", Aliases: []string{"seed"},
		Doc:   "<seed:tool_call><function=f><parameter=k>value</parameter></function></seed:tool_call> (Seed-OSS's chat template)",
		Opens: g.opens, New: g.new, grammar: seed.grammar("<seed:tool_call>"),
	})
}
