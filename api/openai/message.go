package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// MaxNameBytes bounds names of functions, participants and call ids.
const MaxNameBytes = 256

// ReplyMessage is an answer as a message. Members are always present; null says
// that there is none. Reasoning repeats ReasoningContent for clients that look
// under the other name.
type ReplyMessage struct {
	Role             string     `json:"role"`
	Content          *string    `json:"content"`
	ReasoningContent *string    `json:"reasoning_content"`
	Reasoning        *string    `json:"reasoning"`
	ToolCalls        []ToolCall `json:"tool_calls"`
}

// ToolCall is one call in an answer.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"` // function
	Function FunctionCall `json:"function"`
}

// FunctionCall names the function; Arguments is JSON in a string.
type FunctionCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// messages brings the conversation into its normal form: members stand in one
// order, past reasoning is reasoning_content, null is left out and so is what
// means nothing to a template. Content (text or text parts) and tool_calls stay
// as the client wrote them: what a template likes better is not decided here.
func messages(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "array"); err != nil {
		return err
	}
	out := []byte{'['}
	err := v.items(func(i int, v value) error {
		if i == MaxMessages {
			return invalid(name, "more than %d messages", MaxMessages)
		}
		m, err := decodeMessage(fmt.Sprintf("%s[%d]", name, i), v)
		if err != nil {
			return err
		}
		d.lastRole = m.role
		if i > 0 {
			out = append(out, ',')
		}
		out = m.append(out)
		return nil
	})
	if err != nil {
		return err
	}
	if len(out) == 1 {
		return invalid(name, "a chat needs at least one message")
	}
	d.req.Messages = append(out, ']')
	return nil
}

// message is one message while it is decoded; path names it in errors.
type message struct {
	path       string
	role       string
	content    value // a string or an array of text parts; nil: none
	name       string
	reasoning  string
	toolCalls  value // nil: none
	toolCallID string
}

func decodeMessage(path string, v value) (*message, error) {
	if err := expect(v, path, "object"); err != nil {
		return nil, err
	}
	m := &message{path: path}
	if err := v.members(m.member); err != nil {
		return nil, err
	}
	return m, m.check()
}

func (m *message) member(name string, v value) error {
	path := m.path + "." + clip(name)
	if v.null() {
		return nil
	}
	switch name {
	case "role":
		return m.short(&m.role, path, v)
	case "name":
		return m.short(&m.name, path, v)
	case "tool_call_id":
		return m.short(&m.toolCallID, path, v)
	case "content":
		m.content = v
		return content(path, v)
	case "reasoning_content", "reasoning", "thinking":
		if err := expect(v, path, "string"); err != nil {
			return err
		}
		if m.reasoning == "" || name == "reasoning_content" {
			m.reasoning = v.text()
		}
		return nil
	case "tool_calls":
		return m.calls(path, v)
	case "function_call", "audio", "images", "documents":
		if empty(v) {
			return nil
		}
		return unsupported(path, "not supported by this server")
	case "refusal", "annotations", "id", "type", "status", "reasoning_details", "provider_specific_fields", "cache_control", "metadata":
		return nil // what answers of several APIs carry and clients send back; no template reads it
	}
	return Unknown(path)
}

func (m *message) short(dst *string, path string, v value) error {
	if err := expect(v, path, "string"); err != nil {
		return err
	}
	if *dst = v.text(); len(*dst) > MaxNameBytes {
		return invalid(path, "longer than %d bytes", MaxNameBytes)
	}
	return nil
}

// check holds what depends on the role.
func (m *message) check() error {
	switch m.role {
	case "system", "developer", "user":
	case "assistant":
		if m.content == nil && m.toolCalls == nil && m.reasoning == "" {
			return &Error{Param: m.path + ".content", Code: CodeMissing, Message: m.path + ".content: an assistant message needs content, reasoning_content or tool_calls"}
		}
	case "tool":
		if m.toolCallID == "" {
			return &Error{Param: m.path + ".tool_call_id", Code: CodeMissing, Message: m.path + ".tool_call_id: a tool message needs it"}
		}
	case "function":
		return unsupported(m.path+".role", `not supported by this server; use the role "tool"`)
	case "":
		return &Error{Param: m.path + ".role", Code: CodeMissing, Message: m.path + ".role: a message needs a role"}
	default:
		return invalid(m.path+".role", "must be one of system, developer, user, assistant, tool")
	}
	if m.content == nil && m.role != "assistant" {
		return &Error{Param: m.path + ".content", Code: CodeMissing, Message: m.path + ".content: a message needs content"}
	}
	if m.role != "assistant" && m.toolCalls != nil {
		return invalid(m.path+".tool_calls", "only an assistant message has tool calls")
	}
	if m.role != "assistant" && m.reasoning != "" {
		return invalid(m.path+".reasoning_content", "only an assistant message has reasoning")
	}
	return nil
}

func (m *message) append(out []byte) []byte {
	member := func(name, text string) {
		out = append(out, `,"`+name+`":`...)
		out = appendString(out, text)
	}
	out = append(out, `{"role":`...)
	out = appendString(out, m.role)
	if m.content != nil {
		out = append(append(out, `,"content":`...), m.content...)
	}
	if m.name != "" {
		member("name", m.name)
	}
	if m.reasoning != "" {
		member("reasoning_content", m.reasoning)
	}
	if m.toolCalls != nil {
		out = append(append(out, `,"tool_calls":`...), m.toolCalls...)
	}
	if m.toolCallID != "" {
		member("tool_call_id", m.toolCallID)
	}
	return append(out, '}')
}

// appendString writes s as a JSON string, with no more escapes than JSON asks
// for.
func appendString(out []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return append(out, bytes.TrimSuffix(b.Bytes(), []byte{'\n'})...)
}

// content is a string, or an array of text parts.
func content(path string, v value) error {
	switch v.kind() {
	case "string":
		return nil
	case "array":
	default:
		return invalid(path, "must be a string or an array of text parts, got %s", v.kind())
	}
	return v.items(func(i int, v value) error {
		if i == MaxParts {
			return invalid(path, "more than %d parts", MaxParts)
		}
		return textPart(fmt.Sprintf("%s[%d]", path, i), v)
	})
}

func textPart(path string, v value) error {
	if v.kind() == "string" {
		return nil
	}
	if err := expect(v, path, "object"); err != nil {
		return err
	}
	var kind, other string
	text := false
	err := v.members(func(name string, v value) error {
		switch name {
		case "type", "text":
			if err := expect(v, path+"."+name, "string"); err != nil {
				return err
			}
			if name == "type" {
				kind = v.text()
			} else {
				text = true
			}
		case "cache_control", "annotations":
		default:
			if !v.null() {
				other = path + "." + clip(name)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case kind == "":
		return &Error{Param: path + ".type", Code: CodeMissing, Message: path + ".type: a content part needs a type"}
	case knownPart(kind):
		return unsupported(path+".type", "only text parts are supported by this server")
	case kind != "text" && kind != "input_text" && kind != "output_text":
		return invalid(path+".type", `must be "text"`)
	case !text:
		return &Error{Param: path + ".text", Code: CodeMissing, Message: path + ".text: a text part needs text"}
	case other != "":
		return Unknown(other)
	}
	return nil
}

// knownPart are the kinds of content that OpenAI and its peers define beside text.
func knownPart(kind string) bool {
	switch kind {
	case "image_url", "image", "input_image", "input_audio", "audio_url", "audio", "video_url", "video", "file",
		"input_file", "refusal", "thinking", "reasoning", "image_pil", "image_embeds":
		return true
	}
	return false
}
