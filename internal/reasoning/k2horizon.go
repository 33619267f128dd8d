package reasoning

import "github.com/reasond/reasond/api/reasoning"

func init() {
	register(&format{
		name: "k2-horizon",
		doc:  "<ifm|think>…</ifm|think>, think_fast or think_faster by the effort, open from the start; <ifm|tool_calls> end the thought (K2 Horizon)",
		tags: []tag{
			{"<ifm|think>", "</ifm|think>"},
			{"<ifm|think_fast>", "</ifm|think_fast>"},
			{"<ifm|think_faster>", "</ifm|think_faster>"},
		},
		choose:     k2Tags,
		tools:      []string{"<ifm|tool_calls>"},
		toolTokens: true,
		thinks:     always,
	})
}

// k2Tags is the pair of the effort, all where the model has no such effort:
// which one its template took is not known.
func k2Tags(s reasoning.Start, tags []tag) []tag {
	for i, effort := range []string{"high", "medium", "low"} {
		if s.Effort == effort {
			return tags[i : i+1]
		}
	}
	return tags
}
