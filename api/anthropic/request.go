// Package anthropic holds the wire types of the Messages API (Anthropic's API
// reference, version 2023-06-01): decode, validate, encode. A request becomes a
// chat request of package openai, whose members and checks it shares.
package anthropic

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/reasond/reasond/api/openai"
)

// DecodeMessages reads the body of POST /v1/messages. An error is an
// *openai.Error that names the member as this API calls it.
func DecodeMessages(body []byte) (*openai.ChatRequest, error) { return decode(body, true) }

// DecodeCount reads the body of POST /v1/messages/count_tokens.
func DecodeCount(body []byte) (*openai.ChatRequest, error) { return decode(body, false) }

// same are members that mean what the chat request's member means.
var same = map[string]string{
	"model": "model", "max_tokens": "max_completion_tokens", "stream": "stream", "temperature": "temperature",
	"top_p": "top_p", "top_k": "top_k", "stop_sequences": "stop", "thinking": "thinking",
	// Beyond Anthropic's, as peers take them.
	"chat_template_kwargs": "chat_template_kwargs", "seed": "seed", "min_p": "min_p", "repetition_penalty": "repetition_penalty",
	"presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty", "cache_salt": "cache_salt",
	"reserve_answer_tokens": "reserve_answer_tokens", "thinking_token_budget": "thinking_token_budget",
}

// idle are members that change nothing here.
var idle = map[string]bool{
	"metadata": true, "service_tier": true, "cache_control": true, "inference_geo": true, "speed": true,
}

// reader is a request on its way.
type reader struct {
	chat     *openai.ChatReader
	system   string
	turns    []openai.Turn
	messages bool
	max      bool
}

func decode(body []byte, answer bool) (*openai.ChatRequest, error) {
	r := &reader{chat: openai.NewChatReader()}
	if err := openai.ReadObject(body, r.member); err != nil {
		return nil, err
	}
	switch {
	case !r.messages:
		return nil, openai.Missing("messages", "must be given")
	case answer && !r.max:
		return nil, openai.Missing("max_tokens", "must be given")
	}
	all := r.turns
	if r.system != "" {
		all = append([]openai.Turn{{Role: "system", Content: r.system}}, all...)
	}
	if err := r.chat.Set("messages", "messages", openai.NewValue(all)); err != nil {
		return nil, err
	}
	if len(all) > 0 && all[len(all)-1].Role == "assistant" { // a prefilled answer goes on
		if err := r.chat.Set("continue_final_message", "messages", openai.NewValue(true)); err != nil {
			return nil, err
		}
	}
	return r.chat.Finish(true)
}

func (r *reader) member(name string, v openai.Value) error {
	if field, ok := same[name]; ok {
		r.max = r.max || name == "max_tokens" && !v.Null()
		return r.chat.Set(field, name, v)
	}
	switch {
	case idle[name] || v.Null():
		return nil
	case name == "messages":
		r.messages = true
		return r.conversation(v)
	case name == "system":
		text, err := plain(v, "system")
		r.system = text
		return err
	case name == "tools":
		return r.tools(v)
	case name == "tool_choice":
		return r.toolChoice(v)
	case name == "output_config" || name == "output_format":
		return r.output(name, v)
	}
	return openai.Refuse(name, name, v)
}

// plain is a string, or text blocks joined.
func plain(v openai.Value, path string) (string, error) {
	if v.Kind() == "string" {
		return v.String(path)
	}
	var text strings.Builder
	err := blocks(v, path, func(at string, b block) error {
		if b.Type != "text" {
			return openai.Unsupported(at+".type", "only text is supported here by this server")
		}
		text.WriteString(b.Text)
		return nil
	})
	return text.String(), err
}

func (r *reader) tools(v openai.Value) error {
	if err := v.Expect("tools", "array"); err != nil {
		return err
	}
	type function struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
		Strict      bool            `json:"strict,omitempty"`
	}
	type tool struct {
		Type     string   `json:"type"`
		Function function `json:"function"`
	}
	list := []tool{}
	err := v.Items(func(i int, v openai.Value) error {
		path := fmt.Sprintf("tools[%d]", i)
		t := tool{Type: "function"}
		err := v.Object(path, func(name, at string, v openai.Value) (err error) {
			switch name {
			case "name":
				t.Function.Name, err = v.String(at)
			case "description":
				t.Function.Description, err = v.String(at)
			case "input_schema":
				t.Function.Parameters, err = v.JSON(), v.Expect(at, "object")
			case "type":
				var kind string
				if kind, err = v.String(at); err == nil && kind != "custom" {
					err = openai.Unsupported(at, "only custom tools are supported by this server")
				}
			case "strict":
				t.Function.Strict, err = v.Bool(at)
			case "cache_control", "eager_input_streaming", "input_examples":
			default:
				err = openai.Unknown(at)
			}
			return err
		})
		if err == nil && t.Function.Name == "" {
			err = openai.Missing(path+".name", "a tool needs a name")
		}
		list = append(list, t)
		return err
	})
	if err != nil || len(list) == 0 {
		return err
	}
	return r.chat.Set("tools", "tools", openai.NewValue(list))
}

func (r *reader) toolChoice(v openai.Value) error {
	var kind, name string
	err := v.Object("tool_choice", func(member, at string, v openai.Value) (err error) {
		switch member {
		case "type":
			kind, err = v.String(at)
		case "name":
			name, err = v.String(at)
		case "disable_parallel_tool_use":
			var one bool
			if one, err = v.Bool(at); err == nil {
				err = r.chat.Set("parallel_tool_calls", at, openai.NewValue(!one))
			}
		default:
			err = openai.Unknown(at)
		}
		return err
	})
	if err != nil {
		return err
	}
	switch kind {
	case "auto", "none":
		return r.chat.Set("tool_choice", "tool_choice", openai.NewValue(kind))
	case "any":
		return r.chat.Set("tool_choice", "tool_choice", openai.NewValue("required"))
	case "tool":
		if name == "" {
			return openai.Missing("tool_choice.name", "must be given")
		}
		return r.chat.Set("tool_choice", "tool_choice", openai.NewValue(map[string]any{"type": "function", "function": map[string]string{"name": name}}))
	}
	return openai.Invalid("tool_choice.type", "must be one of auto, any, tool, none")
}

// output is output_config {format, effort}, or the older output_format.
func (r *reader) output(name string, v openai.Value) error {
	if name == "output_format" {
		return r.format(name, v)
	}
	return v.Object(name, func(member, at string, v openai.Value) error {
		switch member {
		case "format":
			return r.format(at, v)
		case "effort":
			return r.chat.Set("reasoning_effort", at, v)
		}
		return openai.Unknown(at)
	})
}

func (r *reader) format(path string, v openai.Value) error {
	var kind string
	var schema *openai.Value
	err := v.Object(path, func(name, at string, v openai.Value) (err error) {
		switch name {
		case "type":
			kind, err = v.String(at)
		case "schema":
			schema = &v
		case "name", "description", "strict": // OpenAI's; schemas are strict
		default:
			err = openai.Unknown(at)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case kind != "json_schema" || schema == nil:
		return openai.Invalid(path, `must be {"type": "json_schema", "schema": …}`)
	}
	return r.chat.Set("json_schema", path+".schema", *schema)
}
