package reasoning

func init() {
	// The template writes "</think>\n": what follows is the answer.
	register(&format{
		name:    "granite-thinking",
		aliases: []string{"granite-thinking-parser"},
		doc:     "<think>…</think>, line breaks, answer, unless thinking is switched off; a <tool_call> ends the thought (Granite 4.2)",
		tags:    think,
		feed:    true,
		tools:   qwenTools,
		thinks:  unlessOff,
	})
}
