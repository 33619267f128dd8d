package reasoning

func init() {
	register(&format{
		name:   "ling3",
		doc:    "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (Ling 3)",
		tags:   think,
		tools:  qwenTools,
		thinks: unlessOff,
	})
}
