package toolcall

func init() {
	f := &format{opens: []string{"<tool_call>"},
		body: func(Tools, string) body { return &envelope{closes: []string{"</tool_call>"}} }}
	register(Descriptor{
		Name: "hermes", Aliases: []string{"qwen", "qwen25", "qwen2.5", "qwen3", "granite4"},
		Doc:   `<tool_call>{"name": …, "arguments": {…}}</tool_call> (Hermes function calling; Qwen 2.5 and 3, Granite 4)`,
		Opens: f.opens, New: f.new,
		grammar: layout{between: []string{"\n"}, call: envelopeCall([]string{"<tool_call>", "\n"}, "arguments", []string{"\n", "</tool_call>"})}.grammar,
	})
}
