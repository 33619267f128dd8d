package reasoning

func init() {
	register(&format{
		name:   "seed-oss",
		doc:    "<seed:think>…</seed:think> unless thinking is switched off; a <seed:tool_call> ends the thought (Seed-OSS)",
		tags:   []tag{{"<seed:think>", "</seed:think>"}},
		tools:  []string{"<seed:tool_call>"},
		thinks: unlessOff,
	})
}
