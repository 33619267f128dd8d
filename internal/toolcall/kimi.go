package toolcall

import "strings"

func init() {
	f := &format{
		opens: []string{"<|tool_call_begin|>"},
		skips: []string{"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"},
		body: func(Tools, string) body {
			return &header{seps: []string{"<|tool_call_argument_begin|>"}, closes: []string{"<|tool_call_end|>"}, name: kimiName}
		},
	}
	register(Descriptor{
		Name: "kimi-k2", Aliases: []string{"kimi", "kimi-k2-thinking"},
		Doc:   "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|> (Kimi-K2's tool call guidance)",
		Opens: append(f.opens, f.skips[0]), New: f.new,
		// The index in an id counts a turn's calls; a grammar cannot, and one is what it asks for.
		grammar: func(functions []Function, w writing) (string, error) {
			w.One = true
			return layout{begin: []string{"<|tool_calls_section_begin|>"}, end: []string{"<|tool_calls_section_end|>"},
				call: headerCall([]string{"<|tool_call_begin|>"}, func(name string) string { return "functions." + name + ":0" },
					[]string{"<|tool_call_argument_begin|>"}, []string{"<|tool_call_end|>"})}.grammar(functions, w)
		},
	})
}

// kimiName is the function in functions.NAME:INDEX.
func kimiName(id string) string {
	if i := strings.LastIndexByte(id, ':'); i > 0 && strings.Trim(id[i+1:], "0123456789") == "" {
		id = id[:i]
	}
	return strings.TrimPrefix(id, "functions.")
}
