package reasoning

func init() {
	register(&format{
		name:   "holo2",
		doc:    "<think>…</think> unless thinking is switched off (Holo2)",
		tags:   think,
		thinks: unlessOff,
	})
}
