package prompt

import (
	"slices"
	"strings"
	"unicode"
)

// A continuation is a final message that the prompt leaves open. As transformers
// does, its text gets a tag at the end, and the prompt is cut at the tag. The
// tag ends in a space: if the space is gone the template trims, and the prompt
// must end as trimmed text does.
type continuation struct{ tag string }

// tagFinalMessage appends the tag to the last message's text: its content, or
// its reasoning where it has no content.
func tagFinalMessage(c chat) (*continuation, error) {
	const param = "continue_final_message"
	tag := &continuation{unusedStem(c) + " "}
	final := c.messages.items[len(c.messages.items)-1]
	content := final.get("content")
	if content.is(arrayNode) {
		content = lastTextPart(content)
		if content == nil {
			return nil, invalid(param, "the final message has no text to continue")
		}
	}
	if content.hasText() || content.isText() && final.get("reasoning_content") == nil && final.get("tool_calls") == nil {
		content.text += tag.tag
		return tag, nil
	}
	found := false
	for _, name := range reasoningNames {
		if reasoning := final.get(name); reasoning.isText() {
			// The names may share a node.
			final.replace(name, text(reasoning.text+tag.tag))
			found = true
		}
	}
	if !found {
		return nil, invalid(param, "the final message has no text to continue")
	}
	return tag, nil
}

// lastTextPart is the text of the last part that has any.
func lastTextPart(content *node) *node {
	for _, part := range slices.Backward(content.items) {
		if value := part.get("text"); value.isText() {
			return value
		}
	}
	return nil
}

func (c *continuation) cut(prompt string) (string, error) {
	at := strings.LastIndex(prompt, strings.TrimSpace(c.tag))
	if at < 0 {
		return "", invalid("continue_final_message", "the chat template leaves out the end of the final message")
	}
	if strings.HasPrefix(prompt[at:], c.tag) {
		return prompt[:at], nil
	}
	return strings.TrimRightFunc(prompt[:at], isPythonSpace), nil
}

// isPythonSpace is what Python's strip takes away.
func isPythonSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f
}
