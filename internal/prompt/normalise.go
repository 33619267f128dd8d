package prompt

import (
	"fmt"
	"strings"

	"github.com/reasond/reasond/internal/llm"
)

// reasoningNames are the names under which clients and templates know a
// message's reasoning; the first that a message has fills in the others.
var reasoningNames = []string{"reasoning_content", "reasoning", "thinking"}

// normalise brings messages into the form that templates expect.
//
//   - Members that are null are as absent.
//   - Content that is null or absent is empty text; beside tool calls it is null
//     for a template that takes that (some print calls well only so, others
//     print "None").
//   - Content of several text parts is joined by newlines for a template that
//     prints only strings, a string becomes a part for one that prints only parts.
//   - The role "developer" is "system" for a template that does not know it.
//   - Reasoning goes by each of its names.
//   - Tool calls without calls are absent; a call's arguments, a JSON string in
//     the OpenAI dialect, are the object that they spell.
func normalise(messages *node, formats formats) error {
	for i, m := range messages.items {
		dropNulls(m)
		if role := m.get("role"); role.text == roleDeveloper && !formats.content[roleDeveloper].text && formats.content[roleSystem].text {
			m.replace("role", text(roleSystem))
		}
		normaliseCalls(m)
		if m.get("content") == nil {
			m.replace("content", noContent(m, formats))
		}
		if err := normaliseContent(m, formats.content[m.get("role").text], fmt.Sprintf("messages[%d].content", i)); err != nil {
			return err
		}
		aliasReasoning(m)
	}
	return nil
}

func dropNulls(m *node) {
	var kept []member
	for _, member := range m.members {
		if !member.value.isNull() {
			kept = append(kept, member)
		}
	}
	m.members = kept
}

func noContent(m *node, formats formats) *node {
	if formats.nullContent && m.get("tool_calls") != nil {
		return scalar("null")
	}
	return text("")
}

func normaliseContent(m *node, f format, field string) error {
	content := m.get("content")
	switch {
	case content.isNull():
		return nil
	case content.isText():
		if f.parts && !f.text && content.text != "" {
			m.replace("content", array(textPart(content.text)))
		}
		return nil
	case !content.is(arrayNode):
		return invalid(field, "%s must be a string or a list of parts", field)
	}
	texts := make([]string, len(content.items))
	for i, part := range content.items {
		var err error
		if texts[i], err = partText(part, fmt.Sprintf("%s[%d]", field, i)); err != nil {
			return err
		}
	}
	if !f.parts {
		m.replace("content", text(strings.Join(texts, "\n")))
		return nil
	}
	parts := array()
	for _, s := range texts {
		parts.items = append(parts.items, textPart(s))
	}
	m.replace("content", parts)
	return nil
}

// partText is a content part's text.
func partText(part *node, field string) (string, error) {
	if part.isText() {
		return part.text, nil
	}
	kind := part.get("type")
	if !kind.isText() {
		return "", invalid(field, "%s must have a type", field)
	}
	name := "text"
	switch kind.text {
	case "text", "input_text", "output_text":
	case "refusal":
		name = "refusal"
	default:
		return "", llm.Errorf(llm.Unsupported, field, "%s: content of type %.40q is not supported", field, kind.text)
	}
	value := part.get(name)
	if !value.isText() {
		return "", invalid(field, "%s must have a string %q", field, name)
	}
	return value.text, nil
}

func aliasReasoning(m *node) {
	for _, name := range reasoningNames {
		reasoning := m.get(name)
		if !reasoning.isText() {
			continue
		}
		for _, other := range reasoningNames {
			// gpt-oss, which reads "thinking", refuses it beside content and calls.
			crowded := other == "thinking" && m.get("tool_calls") != nil && m.get("content").hasText()
			if m.get(other) == nil && !crowded {
				m.set(other, text(reasoning.text))
			}
		}
		return
	}
}

func normaliseCalls(m *node) {
	calls := m.get("tool_calls")
	if calls.is(arrayNode) && len(calls.items) == 0 {
		m.members = m.without("tool_calls")
		return
	}
	if !calls.is(arrayNode) {
		return
	}
	for _, call := range calls.items {
		if function := call.get("function"); function.is(objectNode) {
			function.replace("arguments", argumentsOf(function))
		}
	}
}

// argumentsOf is the object that a call's arguments spell. What spells none (a
// model's own malformed call, sent back) stays the text that it is.
func argumentsOf(function *node) *node {
	arguments := function.get("arguments")
	if arguments.isNull() || arguments.isText() && strings.TrimSpace(arguments.text) == "" {
		return object()
	}
	if arguments.isText() {
		if parsed, err := parse([]byte(arguments.text)); err == nil && parsed.is(objectNode) {
			return parsed
		}
	}
	return arguments
}
