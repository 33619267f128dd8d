package reasoning

func init() {
	register(&format{
		name:   "gigachat35",
		doc:    "<think>…</think>, open from the start (GigaChat 3.5 Reasoning)",
		tags:   think,
		thinks: always,
	})
}
