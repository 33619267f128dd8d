package reasoning

func init() {
	register(&format{
		name:   "iquest-q1",
		doc:    "<think>…</think> unless thinking is switched off (IQuest-Q1)",
		tags:   think,
		thinks: unlessOff,
	})
}
