package toolcall

func init() {
	f := &format{opens: []string{"<|python_tag|>"}, bare: "{",
		body: func(Tools, string) body { return &envelope{between: ";", closes: []string{"<|eom_id|>"}} }}
	register(Descriptor{
		Name: "llama3-json", Aliases: []string{"llama3", "llama4-json", "llama3.1-json"},
		Doc:   `the whole answer is {"name": …, "parameters": {…}}, several joined by ";" (Llama 3.1 model card)`,
		Opens: f.opens, New: f.new, bare: f.bare,
		grammar: layout{between: []string{"; "}, call: envelopeCall(nil, "parameters", nil)}.grammar,
	})
}
