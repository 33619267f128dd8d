package anthropic

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/reasond/reasond/api/openai"
)

// block is a content block of a message, in either direction.
type block struct {
	Type string

	Text     string // text
	Thinking string // thinking

	ID    string          // tool_use
	Name  string          // tool_use
	Input json.RawMessage // tool_use

	ToolUseID string        // tool_result
	Content   *openai.Value // tool_result
}

// conversation makes turns of the messages. Results of tools stand in a user's
// message here and are messages of their own there.
func (r *reader) conversation(v openai.Value) error {
	if err := v.Expect("messages", "array"); err != nil {
		return err
	}
	return v.Items(func(i int, v openai.Value) error {
		path := fmt.Sprintf("messages[%d]", i)
		if err := v.Expect(path, "object"); err != nil {
			return err
		}
		var role string
		var content *openai.Value
		err := v.Members(func(name string, v openai.Value) (err error) {
			switch name {
			case "role":
				role, err = v.String(path + ".role")
			case "content":
				content = &v
			default:
				err = openai.Unknown(path + "." + name)
			}
			return err
		})
		switch {
		case err != nil:
			return err
		case role != "user" && role != "assistant" && role != "system":
			return openai.Invalid(path+".role", "must be user or assistant")
		case content == nil || content.Null():
			return openai.Missing(path+".content", "must be given")
		}
		return r.turn(path+".content", role, *content)
	})
}

// turn adds a message's blocks.
func (r *reader) turn(path, role string, v openai.Value) error {
	if v.Kind() == "string" {
		text, err := v.String(path)
		r.turns = append(r.turns, openai.Turn{Role: role, Content: text})
		return err
	}
	t := turn{Turn: openai.Turn{Role: role}}
	if err := blocks(v, path, func(at string, b block) error { return r.add(&t, at, b) }); err != nil {
		return err
	}
	if t.said {
		t.Content = t.text.String()
	}
	t.Reasoning = t.thought.String()
	if t.said || t.ToolCalls != nil || t.Reasoning != "" {
		r.turns = append(r.turns, t.Turn)
	}
	return nil
}

// turn is a message whose texts are put together.
type turn struct {
	openai.Turn
	text, thought strings.Builder
	said          bool // there are texts
}

// blocks calls fn for each block of a list.
func blocks(v openai.Value, path string, fn func(at string, b block) error) error {
	if err := v.Expect(path, "array"); err != nil {
		return err
	}
	return v.Items(func(i int, v openai.Value) error {
		if i == openai.MaxParts {
			return openai.Invalid(path, "more than %d blocks", openai.MaxParts)
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		b, err := readBlock(v, at)
		if err != nil {
			return err
		}
		return fn(at, b)
	})
}

func (r *reader) add(t *turn, path string, b block) error {
	assistant := t.Role == "assistant"
	switch b.Type {
	case "text":
		t.said = true
		t.text.WriteString(b.Text)
		return nil
	case "thinking", "redacted_thinking":
		if !assistant {
			return openai.Invalid(path+".type", "only an assistant's message has thinking")
		}
		t.thought.WriteString(b.Thinking)
		return nil
	case "tool_use":
		if !assistant {
			return openai.Invalid(path+".type", "only an assistant's message has tool_use")
		}
		if b.Name == "" {
			return openai.Missing(path+".name", "a tool_use needs a name")
		}
		if b.Input == nil {
			b.Input = json.RawMessage("{}")
		}
		t.ToolCalls = append(t.ToolCalls, openai.NewTurnCall(b.ID, b.Name, b.Input))
		return nil
	case "tool_result":
		if assistant {
			return openai.Invalid(path+".type", "only a user's message has tool_result")
		}
		return r.result(path, b)
	}
	return openai.Unsupported(path+".type", "%.64q is not supported by this server", b.Type)
}

// result is a message of its own, before what the user says beside it.
func (r *reader) result(path string, b block) error {
	text := ""
	if b.Content != nil && !b.Content.Null() {
		var err error
		if text, err = plain(*b.Content, path+".content"); err != nil {
			return err
		}
	}
	if b.ToolUseID == "" {
		return openai.Missing(path+".tool_use_id", "a tool_result needs the id of its tool_use")
	}
	r.turns = append(r.turns, openai.Turn{Role: "tool", Content: text, ToolCallID: b.ToolUseID})
	return nil
}

func readBlock(v openai.Value, path string) (block, error) {
	var b block
	err := v.Object(path, func(name, at string, v openai.Value) (err error) {
		switch name {
		case "type":
			b.Type, err = v.String(at)
		case "text":
			b.Text, err = v.String(at)
		case "thinking":
			b.Thinking, err = v.String(at)
		case "id":
			b.ID, err = v.String(at)
		case "name":
			b.Name, err = v.String(at)
		case "input":
			b.Input, err = v.JSON(), v.Expect(at, "object")
		case "tool_use_id":
			b.ToolUseID, err = v.String(at)
		case "content":
			b.Content = &v
		case "signature", "data", "cache_control", "citations", "is_error", "source", "title", "context", "caller":
		default:
			err = openai.Unknown(at)
		}
		return err
	})
	if err == nil && b.Type == "" {
		err = openai.Missing(path+".type", "a content block needs a type")
	}
	return b, err
}
