package reasoning

func init() {
	register(&format{
		name:    "nemotron-v3",
		aliases: []string{"nemotron-3", "nano-v3"},
		doc:     "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (Nemotron 3)",
		tags:    think,
		tools:   qwenTools,
		thinks:  unlessOff,
	})
}
