package reasoning

// qwenTools begin a call in Qwen3's grammar, which other families took over.
var qwenTools = []string{"<tool_call>"}

func init() {
	// A call may come before the thought is closed: from there on it is over.
	register(&format{
		name:   "qwen3",
		doc:    "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (Qwen3)",
		tags:   think,
		tools:  qwenTools,
		thinks: unlessOff,
	})
	register(&format{
		name:   "qwen3-thinking",
		doc:    "as qwen3, open from the start whatever the switches say (Qwen3-…-Thinking-2507)",
		tags:   think,
		tools:  qwenTools,
		thinks: always,
	})
}
