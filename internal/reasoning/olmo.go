package reasoning

func init() {
	register(&format{
		name:   "olmo3",
		doc:    "<think>…</think> as plain text, open from the start (Olmo-3-Think)",
		tags:   think,
		thinks: always,
	})
}
