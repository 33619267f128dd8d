package toolcall

func init() {
	granite := &format{opens: []string{"<|tool_call|>", "<tool_call>"},
		body: func(Tools, string) body {
			return &envelope{listed: true, closes: []string{"<|/tool_call|>", "</tool_call>"}}
		}}
	register(Descriptor{
		Name: "granite", Aliases: []string{"granite3"},
		Doc:   `<|tool_call|>[{"name": …, "arguments": {…}}] (Granite 3 chat templates)`,
		Opens: granite.opens, New: granite.new,
		grammar: layout{begin: []string{"<|tool_call|>", "["}, between: []string{", "}, end: []string{"]"}, call: envelopeCall(nil, "arguments", nil)}.grammar,
	})
	phi := &format{opens: []string{"functools", "<|tool_call|>"},
		body: func(Tools, string) body { return &envelope{listed: true, closes: []string{"<|/tool_call|>"}} }}
	register(Descriptor{
		Name: "phi4", Aliases: []string{"phi4-mini-json", "phi4-mini", "phi-4-mini"},
		Doc:   `functools[{"name": …, "arguments": {…}}] or <|tool_call|>[…]<|/tool_call|> (Phi-4-mini's model card)`,
		Opens: phi.opens, New: phi.new,
		grammar: layout{begin: []string{"functools", "["}, between: []string{", "}, end: []string{"]"}, call: envelopeCall(nil, "arguments", nil)}.grammar,
	})
}
