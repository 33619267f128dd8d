package reasoning

func init() {
	register(&format{
		name:   "nanbeige",
		doc:    "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (Nanbeige4)",
		tags:   think,
		tools:  qwenTools,
		thinks: unlessOff,
	})
}
