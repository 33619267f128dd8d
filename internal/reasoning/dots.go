package reasoning

func init() {
	register(&format{
		name:   "dots",
		doc:    "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (dots)",
		tags:   think,
		tools:  qwenTools,
		thinks: unlessOff,
	})
}
