package prompt

import (
	"strings"
	"time"

	"github.com/reasond/reasond/internal/native"
)

// formats says, for each role, in what form a template prints a message's
// content. Templates do not say it; they are tried.
type formats map[string]format

type format struct {
	text  bool // a string
	parts bool // a list of {"type": "text", "text": …}
}

const (
	roleSystem    = "system"
	roleDeveloper = "developer"
	roleUser      = "user"
	roleAssistant = "assistant"
	roleTool      = "tool"
)

// probe renders small chats with a word in them and looks whether it comes out.
func probe(template *native.Template, tokens []member) formats {
	found := formats{}
	for _, role := range []string{roleSystem, roleDeveloper, roleUser, roleAssistant, roleTool} {
		found[role] = format{
			text:  prints(template, tokens, role, text(probeWord)),
			parts: prints(template, tokens, role, array(textPart(probeWord))),
		}
	}
	return found
}

const probeWord = "probeword"

func prints(template *native.Template, tokens []member, role string, content *node) bool {
	variables := object(
		member{"messages", probeChat(role, content)},
		member{"tools", scalar("null")},
		member{"add_generation_prompt", boolean(true)},
	)
	variables.members = append(variables.members, tokens...)
	out, err := template.Render(variables.append(nil), time.Unix(0, 0).UTC())
	if err != nil || !strings.Contains(out, probeWord) {
		return false
	}
	// A template that knows no parts prints them as a list or as JSON.
	return !strings.Contains(out, `'`+probeWord) && !strings.Contains(out, `"`+probeWord)
}

// probeChat is a well-formed chat with a message of the role.
func probeChat(role string, content *node) *node {
	message := func(role string, content *node) *node {
		return object(member{"role", text(role)}, member{"content", content})
	}
	hello := message(roleUser, text("hello"))
	subject := message(role, content)
	switch role {
	case roleUser:
		return array(subject)
	case roleAssistant:
		return array(hello, subject, hello)
	case roleTool:
		const id = "call00001"
		call := object(member{"id", text(id)}, member{"type", text("function")}, member{"function",
			object(member{"name", text("f")}, member{"arguments", object()})})
		calls := object(member{"role", text(roleAssistant)}, member{"content", text("")},
			member{"tool_calls", array(call)})
		subject.set("tool_call_id", text(id))
		subject.set("name", text("f"))
		return array(hello, calls, subject)
	default:
		return array(subject, hello)
	}
}

func textPart(s string) *node {
	return object(member{"type", text("text")}, member{"text", text(s)})
}
