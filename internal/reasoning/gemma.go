package reasoning

func init() {
	// The model opens its thought itself, behind some text at times.
	register(&format{
		name:       "gemma4",
		doc:        "<|channel>thought, line break, …<channel|>, never open from the start; a <|tool_call> ends the thought (Gemma 4)",
		tags:       []tag{{"<|channel>", "<channel|>"}},
		label:      "thought\n",
		blocks:     true,
		tools:      []string{"<|tool_call>"},
		toolTokens: true,
		thinks:     never,
	})
}
