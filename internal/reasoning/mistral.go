package reasoning

import "github.com/reasond/reasond/api/reasoning"

func init() {
	register(&format{
		name:   "mistral",
		doc:    "[THINK]…[/THINK] where an effort is given (Magistral, Mistral-Small-4; <think> without these tokens)",
		tags:   []tag{{"[THINK]", "[/THINK]"}, {"<think>", "</think>"}},
		choose: mistralTags,
		thinks: ifOn,
	})
}

// mistralTags: the first Magistral was taught other tags, as text, and has no
// token of the usual ones.
func mistralTags(s reasoning.Start, tags []tag) []tag {
	if s.Token == nil {
		return tags[:1]
	}
	return inVocabulary(s, tags)
}
