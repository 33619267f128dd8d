package reasoning

func init() {
	register(&format{
		name:    "step3",
		aliases: []string{"step5"},
		doc:     "<think>…</think>, open from the start (Step-3, Step-5)",
		tags:    think,
		thinks:  always,
	})
	register(&format{
		name:    "step3p5",
		aliases: []string{"step-3.5"},
		doc:     "<think>…</think>, open from the start; a <tool_call> ends the thought (Step-3.5)",
		tags:    think,
		tools:   qwenTools,
		thinks:  always,
	})
}
