package reasoning

func init() {
	// Its tokenizer decodes some line breaks as a backslash and an n. A parser
	// changes no text, so they stay.
	register(&format{
		name:   "minicpmv",
		doc:    "<think>…</think> where thinking is switched on; a <tool_call> ends the thought (MiniCPM-V 4.5)",
		tags:   think,
		tools:  qwenTools,
		thinks: ifOn,
	})
}
