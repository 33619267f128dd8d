package reasoning

func init() {
	register(&format{
		name:   "poolside-v1",
		doc:    "<think>…</think> where thinking is switched on; a <tool_call> ends the thought (Laguna)",
		tags:   think,
		tools:  qwenTools,
		thinks: ifOn,
	})
}
