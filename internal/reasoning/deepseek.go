package reasoning

func init() {
	// R1 always thinks; its tools are not part of the thought's grammar. Some
	// servers know it as the default of all formats.
	register(&format{
		name:    "deepseek-r1",
		aliases: []string{"default", "qwen-qwq", "qwq"},
		doc:     "<think>…</think>, open from the start (DeepSeek-R1 and its distillations, QwQ)",
		tags:    think,
		thinks:  always,
	})
	// The hybrid models think where the switch says so. Engines disagree which
	// switch; either does.
	register(&format{
		name: "deepseek-v3",
		aliases: []string{
			"deepseek-v3.1", "deepseek-v31", "v3.1",
			"deepseek-v3.2", "deepseek-v32", "v3.2",
		},
		doc:    "<think>…</think> where thinking is switched on (DeepSeek-V3.1, V3.2)",
		tags:   think,
		thinks: ifOn,
	})
	// V4's calls are "tool_calls", V4.1's " calls" with the space.
	register(&format{
		name:    "deepseek-v4",
		aliases: []string{"deepseek-v41", "deepseek-v4.1"},
		doc:     "<think>…</think> unless thinking is switched off; DSML calls end the thought (DeepSeek-V4, V4.1)",
		tags:    think,
		tools:   []string{"<｜DSML｜tool_calls>", "<｜DSML｜ calls>", "<｜DSML｜function_calls>"},
		thinks:  unlessOff,
	})
}
