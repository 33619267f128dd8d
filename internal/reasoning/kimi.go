package reasoning

func init() {
	register(&format{
		name:   "kimi",
		doc:    "◁think▷…◁/think▷, never open from the start (Kimi-VL-Thinking)",
		tags:   []tag{{"◁think▷", "◁/think▷"}},
		thinks: never,
	})
	// The section of calls begins with a control token, often right behind the
	// thought's last word.
	register(&format{
		name:       "kimi-k2",
		aliases:    []string{"kimi-k2.5", "kimi-k25"},
		doc:        "<think>…</think> unless thinking is switched off; a section of calls ends the thought (Kimi-K2-Thinking, K2.5)",
		tags:       think,
		tools:      []string{"<|tool_calls_section_begin|>"},
		toolTokens: true,
		thinks:     unlessOff,
	})
}
