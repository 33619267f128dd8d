package reasoning

func init() {
	register(&format{
		name:    "interns1",
		aliases: []string{"intern-s1"},
		doc:     "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (Intern-S1)",
		tags:    think,
		tools:   qwenTools,
		thinks:  unlessOff,
	})
}
