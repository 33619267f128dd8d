package reasoning

func init() {
	// Engines disagree on the default; the maker's is on, MiMo-V2-Flash excepted.
	register(&format{
		name:   "mimo",
		doc:    "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (MiMo-V2, V2.5)",
		tags:   think,
		tools:  qwenTools,
		thinks: unlessOff,
	})
}
