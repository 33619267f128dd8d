package reasoning

func init() {
	// A turn is a sequence of blocks. Calls stand in a thought, which goes on
	// behind them.
	register(&format{
		name:       "apertus2509",
		aliases:    []string{"apertus"},
		doc:        "<|inner_prefix|>…<|inner_suffix|> any number of times, never open from the start; calls in it are content (Apertus-2509)",
		tags:       []tag{{"<|inner_prefix|>", "<|inner_suffix|>"}},
		blocks:     true,
		tools:      []string{"<|tools_prefix|>"},
		toolTokens: true,
		toolEnd:    "<|tools_suffix|>",
		thinks:     never,
	})
}
