package reasoning

func init() {
	register(&format{
		name:    "glm45",
		aliases: []string{"glm-4.5", "glm46", "glm-4.6", "glm47", "glm-4.7", "glm5", "glm-5"},
		doc:     "<think>…</think> unless thinking is switched off; a <tool_call> ends the thought (GLM-4.5 to GLM-5)",
		tags:    think,
		tools:   qwenTools,
		thinks:  unlessOff,
	})
}
