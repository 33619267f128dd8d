package prompt

import (
	"strings"
	"time"

	"github.com/reasond/reasond/internal/native"
)

// formats says in what form a template prints messages. Templates do not say
// it; they are tried.
type formats struct {
	content map[string]format // by role
	// nullContent: beside tool calls, content that is null prints as nothing.
	nullContent bool
}

// format is how a role's content is printed.
type format struct {
	text  bool // as a string
	parts bool // as a list of {"type": "text", "text": …}
}

const (
	roleSystem    = "system"
	roleDeveloper = "developer"
	roleUser      = "user"
	roleAssistant = "assistant"
	roleTool      = "tool"
)

const probeWord = "probeword"

// probe renders small chats with a word in them and looks whether it comes out.
func probe(template *native.Template, tokens []member) formats {
	found := formats{content: map[string]format{}}
	for _, role := range []string{roleSystem, roleDeveloper, roleUser, roleAssistant, roleTool} {
		found.content[role] = format{
			text:  prints(template, tokens, probeContent(role, text(probeWord))),
			parts: prints(template, tokens, probeContent(role, array(textPart(probeWord)))),
		}
	}
	null, err := try(template, tokens, probeCall(scalar("null")))
	found.nullContent = err == nil && strings.Contains(null, probeWord) && !strings.Contains(null, "None")
	return found
}

// prints reports whether the probe word comes out, as text.
func prints(template *native.Template, tokens []member, messages *node) bool {
	out, err := try(template, tokens, messages)
	if err != nil || !strings.Contains(out, probeWord) {
		return false
	}
	// A template that knows no parts prints them as a list or as JSON.
	return !strings.Contains(out, `'text': '`+probeWord) && !strings.Contains(out, `"text": "`+probeWord)
}

func try(template *native.Template, tokens []member, messages *node) (string, error) {
	variables := object(
		member{"messages", messages},
		member{"tools", scalar("null")},
		member{"add_generation_prompt", boolean(true)},
	)
	variables.members = append(variables.members, tokens...)
	return template.Render(variables.append(nil), time.Unix(0, 0).UTC())
}

// probeContent is a well-formed chat with a message of the role.
func probeContent(role string, content *node) *node {
	subject := message(role, content)
	switch role {
	case roleUser:
		return array(subject)
	case roleAssistant:
		return array(message(roleUser, text("hello")), subject, message(roleUser, text("hello")))
	case roleTool:
		chat := probeCall(text(""))
		subject.set("tool_call_id", text(probeID))
		subject.set("name", text(probeWord))
		// The call's name is not the word that is looked for.
		chat.items[1].get("tool_calls").items[0].get("function").replace("name", text("call"))
		return array(chat.items[0], chat.items[1], subject)
	default:
		return array(subject, message(roleUser, text("hello")))
	}
}

const probeID = "call00001" // of the length that Mistral's templates insist on

// probeCall is a chat with a tool call and its result.
func probeCall(content *node) *node {
	call := object(member{"id", text(probeID)}, member{"type", text("function")}, member{"function",
		object(member{"name", text(probeWord)}, member{"arguments", object()})})
	calls := message(roleAssistant, content)
	calls.set("tool_calls", array(call))
	result := message(roleTool, text("result"))
	result.set("tool_call_id", text(probeID))
	return array(message(roleUser, text("hello")), calls, result)
}

func message(role string, content *node) *node {
	return object(member{"role", text(role)}, member{"content", content})
}

func textPart(s string) *node {
	return object(member{"type", text("text")}, member{"text", text(s)})
}
