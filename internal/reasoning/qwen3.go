package reasoning

func init() {
	// A call may come before the thought is closed: from there on it is over.
	register(&format{
		name: "qwen3",
		doc:  "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (Qwen3)",
		open: "<think>", close: "</think>",
		tools:  []string{"<tool_call>"},
		thinks: unlessOff,
	})
}
