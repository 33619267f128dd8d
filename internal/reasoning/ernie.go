package reasoning

func init() {
	register(&format{
		name:   "ernie45",
		doc:    "<think>…</think>, line breaks, <response>…</response> or the answer alone; open from the start (ERNIE-4.5-Thinking)",
		tags:   think,
		feed:   true,
		answer: tag{"<response>", "</response>"},
		thinks: always,
	})
}
