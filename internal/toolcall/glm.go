package toolcall

func init() {
	glm := &markup{
		nameEnds: []string{"\n", "<arg_key>", "</tool_call>"}, param: "<arg_key>", paramEnds: []string{"</arg_key>"},
		value: "<arg_value>", close: "</arg_value>", end: "</tool_call>", guess: true,
	}
	f := &format{opens: []string{"<tool_call>"}, body: glm.body}
	register(Descriptor{
		Name: "glm45", Aliases: []string{"glm", "glm47", "glm46"},
		Doc:   "<tool_call>f, then <arg_key>k</arg_key><arg_value>v</arg_value>, then </tool_call> (GLM-4.5 to 4.7 chat templates)",
		Opens: f.opens, New: f.new, grammar: glm.grammar("<tool_call>"),
	})
}
