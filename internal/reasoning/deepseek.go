package reasoning

func init() {
	// R1 always thinks; its tools are not part of the thought's grammar.
	register(&format{
		name: "deepseek-r1",
		doc:  "<think>…</think>, open from the start (DeepSeek-R1 and its distillations)",
		open: "<think>", close: "</think>",
		thinks: always,
	})
	// The hybrid models think where the switch says so. Engines disagree which
	// switch; either does.
	register(&format{
		name:    "deepseek-v3",
		aliases: []string{"deepseek-v32", "deepseek-v3.2"},
		doc:     "<think>…</think> where thinking is switched on (DeepSeek-V3.1, V3.2)",
		open:    "<think>", close: "</think>",
		thinks: ifOn,
	})
}
