package reasoning

func init() {
	register(&format{
		name:   "plamo3",
		doc:    "<|plamo:begin_think:plamo|>…<|plamo:end_think:plamo|> unless thinking is switched off (PLaMo 3)",
		tags:   []tag{{"<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"}},
		thinks: unlessOff,
	})
}
