package toolcall

func init() {
	deepseek("deepseek-v3", []string{"deepseekv3", "deepseek-r1-0528"},
		"<｜tool▁call▁begin｜>function<｜tool▁sep｜>f, then a json code block (DeepSeek-V3 and R1 chat templates)",
		func() *header {
			return &header{before: []string{"function<｜tool▁sep｜>"}, seps: []string{"\n"}, middle: []string{"```json"},
				closes: []string{"```<｜tool▁call▁end｜>", "<｜tool▁call▁end｜>", "```\n<｜tool▁call▁end｜>"}}
		},
		layout{bare: true, begin: []string{"<｜tool▁calls▁begin｜>"}, between: []string{"\n"}, end: []string{"<｜tool▁calls▁end｜>"},
			call: headerCall([]string{"<｜tool▁call▁begin｜>", "function", "<｜tool▁sep｜>"}, itself, []string{"\n```json\n"}, []string{"\n```", "<｜tool▁call▁end｜>"})})
	deepseek("deepseek-v31", []string{"deepseekv31", "deepseek-v3.1"},
		"<｜tool▁call▁begin｜>f<｜tool▁sep｜>{…}<｜tool▁call▁end｜> (DeepSeek-V3.1 chat template)",
		func() *header {
			return &header{seps: []string{"<｜tool▁sep｜>"}, closes: []string{"<｜tool▁call▁end｜>"}}
		},
		layout{bare: true, begin: []string{"<｜tool▁calls▁begin｜>"}, end: []string{"<｜tool▁calls▁end｜>"},
			call: headerCall([]string{"<｜tool▁call▁begin｜>"}, itself, []string{"<｜tool▁sep｜>"}, []string{"<｜tool▁call▁end｜>"})})
	dsml := &markup{
		call: `<｜DSML｜invoke name="`, nameEnds: []string{`">`}, param: `<｜DSML｜parameter name="`,
		paramEnds: []string{`" string="true">`, `" string="false">`, `">`},
		stated:    map[string]valueType{`" string="true">`: stringType, `" string="false">`: jsonType},
		close:     "</｜DSML｜parameter>", end: "</｜DSML｜invoke>", block: "</｜DSML｜function_calls>", guess: true,
	}
	f := &format{opens: []string{"<｜DSML｜function_calls>"}, body: dsml.body}
	register(Descriptor{
		Name: "deepseek-v32", Aliases: []string{"deepseekv32", "deepseek-v3.2"},
		Doc:   "<｜DSML｜function_calls> with invoke and parameter tags (DeepSeek-V3.2's encoding)",
		Opens: f.opens, New: f.new, grammar: dsml.grammar("<｜DSML｜function_calls>"),
	})
}

func deepseek(name string, aliases []string, doc string, call func() *header, l layout) {
	f := &format{
		opens: []string{"<｜tool▁call▁begin｜>"},
		skips: []string{"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"},
		body:  func(Tools, string) body { return call() },
	}
	register(Descriptor{Name: name, Aliases: aliases, Doc: doc, Opens: append(f.opens, f.skips[0]), New: f.new, grammar: l.grammar})
}
