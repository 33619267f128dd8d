package reasoning

func init() {
	// Releases put a suffix of their own into the names of all such tokens.
	register(&format{
		name:    "hunyuan",
		aliases: []string{"hy-v3", "hy-v4"},
		doc:     "<think>…</think>, suffixed in some releases, where an effort is given; <tool_calls> end the thought (Hunyuan Hy3, Hy4)",
		tags: []tag{
			{"<think>", "</think>"},
			{"<think:opensource>", "</think:opensource>"},
			{"<think:6124c78e>", "</think:6124c78e>"},
		},
		choose: inVocabulary,
		tools:  []string{"<tool_calls>", "<tool_calls:opensource>", "<tool_calls:6124c78e>"},
		thinks: ifOn,
	})
}
