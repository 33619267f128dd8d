package reasoning

import "github.com/reasond/reasond/api/reasoning"

// What a format does where nobody rendered the prompt: the values of
// format.thinks and format.choose.

// always: the model thinks, whatever the request says.
func always(reasoning.Start) bool { return true }

// never: the model opens its thoughts itself.
func never(reasoning.Start) bool { return false }

// unlessOff: thinking is the model's habit, and a switch turns it off.
func unlessOff(s reasoning.Start) bool {
	on, given := s.Thinking()
	return on || !given
}

// ifOn: the model thinks where a switch asks for it, or where the request gives
// an effort, which asks for it too.
func ifOn(s reasoning.Start) bool {
	if on, given := s.Thinking(); given {
		return on
	}
	return s.Effort != "" && s.Effort != "no_think"
}

// inVocabulary chooses the tags that are tokens of the vocabulary, all of them
// where it is not known or has none.
func inVocabulary(s reasoning.Start, tags []tag) []tag {
	if s.Token == nil {
		return tags
	}
	for i, t := range tags {
		if s.Token(t.open) {
			return tags[i : i+1]
		}
	}
	return tags
}
