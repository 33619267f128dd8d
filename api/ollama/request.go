// Package ollama holds the wire types of Ollama's own API (docs/api.md of
// ollama/ollama): decode, validate, encode. A request becomes a chat request of
// package openai, whose members and checks it shares.
package ollama

import (
	"encoding/json"
	"fmt"

	"github.com/reasond/reasond/api/openai"
)

// Request is the body of POST /api/chat or /api/generate.
type Request struct {
	Chat *openai.ChatRequest
	// Prompt is what /api/generate puts to the model as it is (raw); nil: Chat
	// has messages.
	Prompt *string
	// Load says that nothing is asked: Ollama's clients have a model loaded so,
	// before they ask. Chat says which.
	Load bool
}

// options are the members of options that mean what a chat request's member does.
var options = map[string]string{
	"temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "seed": "seed", "stop": "stop",
	"repeat_penalty": "repetition_penalty", "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty",
}

// idle are options of llama.cpp's loader: where and how a model runs is not a
// request's to say.
var idle = map[string]bool{
	"num_ctx": true, "num_keep": true, "num_batch": true, "num_gpu": true, "main_gpu": true, "num_thread": true, "numa": true,
	"use_mmap": true, "use_mlock": true, "low_vram": true, "vocab_only": true, "penalize_newline": true, "repeat_last_n": true,
	"f16_kv": true, "logits_all": true,
}

// reader is a request on its way.
type reader struct {
	chat           *openai.ChatReader
	generate       bool
	turns          []openai.Turn
	messages       bool
	system, prompt string
	raw            bool
	ids            []string // of calls that wait for their results
	calls          int
}

// DecodeChat reads the body of POST /api/chat. An error is an *openai.Error.
func DecodeChat(body []byte) (*Request, error) { return decode(body, false) }

// DecodeGenerate reads the body of POST /api/generate.
func DecodeGenerate(body []byte) (*Request, error) { return decode(body, true) }

func decode(body []byte, generate bool) (*Request, error) {
	r := &reader{chat: openai.NewChatReader(), generate: generate}
	if err := r.chat.Set("stream", "stream", openai.NewValue(true)); err != nil {
		return nil, err
	}
	if err := openai.ReadObject(body, r.member); err != nil {
		return nil, err
	}
	req := &Request{}
	switch {
	case generate && r.prompt == "", !generate && r.messages && len(r.turns) == 0:
		req.Load = true
	case generate && r.raw:
		req.Prompt = &r.prompt
	case generate:
		if r.system != "" {
			r.turns = append(r.turns, openai.Turn{Role: "system", Content: r.system})
		}
		r.turns = append(r.turns, openai.Turn{Role: "user", Content: r.prompt})
	case !r.messages:
		return nil, openai.Missing("messages", "must be given")
	}
	var err error
	chat := req.Prompt == nil && !req.Load
	if chat {
		err = r.chat.Set("messages", "messages", openai.NewValue(r.turns))
	}
	if err == nil {
		req.Chat, err = r.chat.Finish(chat)
	}
	return req, err
}

func (r *reader) member(name string, v openai.Value) (err error) {
	switch {
	case v.Null():
		return nil
	case name == "model" || name == "stream":
		return r.chat.Set(name, name, v)
	case name == "options":
		return r.options(v)
	case name == "think":
		return r.think(v)
	case name == "format":
		return r.format(v)
	case name == "tools" && !r.generate:
		return r.chat.Set("tools", "tools", v)
	case name == "messages" && !r.generate:
		r.messages = true
		return r.conversation(v)
	case name == "prompt" && r.generate:
		r.prompt, err = v.String("prompt")
		return err
	case name == "system" && r.generate:
		r.system, err = v.String("system")
		return err
	case name == "raw" && r.generate:
		r.raw, err = v.Bool("raw")
		return err
	case name == "keep_alive" || name == "truncate" || name == "shift":
		return nil // the model stays, and a prompt that is too long is refused
	case name == "images" && v.Kind() == "array" && len(v.JSON()) == 2, name == "suffix" && string(v.JSON()) == `""`,
		name == "template" && string(v.JSON()) == `""`, name == "context":
		return nil
	case name == "images" || name == "suffix" || name == "template":
		return openai.Unsupported(name, "not supported by this server")
	case name == "logprobs" || name == "top_logprobs":
		return openai.Unsupported(name, "not supported by this server in Ollama's dialect")
	}
	return openai.Unknown(name)
}

func (r *reader) options(v openai.Value) error {
	return v.Object("options", func(name, path string, v openai.Value) error {
		switch field, ok := options[name]; {
		case idle[name]:
			return nil
		case ok:
			return r.chat.Set(field, path, v)
		case name == "num_predict": // -1 and -2 are as much as there is room for
			if text := string(v.JSON()); text == "-1" || text == "-2" {
				return nil
			}
			return r.chat.Set("max_completion_tokens", path, v)
		}
		return openai.Refuse(name, path, v)
	})
}

// think is a switch, or how hard.
func (r *reader) think(v openai.Value) error {
	if v.Kind() == "string" {
		return r.chat.Set("reasoning_effort", "think", v)
	}
	return r.chat.Set("think", "think", v)
}

// format is "json" or a JSON schema.
func (r *reader) format(v openai.Value) error {
	if v.Kind() != "string" {
		return r.chat.Set("json_schema", "format", v)
	}
	switch string(v.JSON()) {
	case `""`:
		return nil
	case `"json"`:
		return r.chat.Set("response_format", "format", openai.NewValue(map[string]string{"type": "json_object"}))
	}
	return openai.Invalid("format", `must be "json" or a JSON schema`)
}

// function is what a past call called.
type function struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// conversation makes turns of the messages. Calls have no ids here: results
// belong to the calls before them, in order.
func (r *reader) conversation(v openai.Value) error {
	if err := v.Expect("messages", "array"); err != nil {
		return err
	}
	return v.Items(func(i int, v openai.Value) error {
		path := fmt.Sprintf("messages[%d]", i)
		var t openai.Turn
		err := v.Object(path, func(name, at string, v openai.Value) (err error) {
			switch {
			case name == "role":
				t.Role, err = v.String(at)
			case name == "content":
				t.Content, err = v.String(at)
			case name == "thinking":
				t.Reasoning, err = v.String(at)
			case name == "tool_calls":
				err = r.toolCalls(&t, at, v)
			case name == "tool_call_id":
				t.ToolCallID, err = v.String(at)
			case name == "tool_name" || name == "name":
			case name == "images" && v.Kind() == "array" && len(v.JSON()) == 2:
			case name == "images":
				err = openai.Unsupported(at, "not supported by this server")
			default:
				err = openai.Unknown(at)
			}
			return err
		})
		if err != nil {
			return err
		}
		if t.Role == "tool" && t.ToolCallID == "" {
			t.ToolCallID = r.result()
		}
		r.turns = append(r.turns, t)
		return nil
	})
}

// result is the id of the next call that waits for one.
func (r *reader) result() string {
	if len(r.ids) == 0 {
		return r.nextID()
	}
	id := r.ids[0]
	r.ids = r.ids[1:]
	return id
}

func (r *reader) nextID() string {
	r.calls++
	return fmt.Sprintf("call_%d", r.calls)
}

func (r *reader) toolCalls(t *openai.Turn, path string, v openai.Value) error {
	if err := v.Expect(path, "array"); err != nil {
		return err
	}
	r.ids = nil
	return v.Items(func(i int, v openai.Value) error {
		at := fmt.Sprintf("%s[%d].function", path, i)
		var call struct {
			Function *function `json:"function"`
		}
		if json.Unmarshal(v.JSON(), &call) != nil || call.Function == nil || call.Function.Name == "" {
			return openai.Missing(at+".name", "a tool call needs a function with a name")
		}
		if call.Function.Arguments == nil {
			call.Function.Arguments = json.RawMessage("{}")
		}
		id := r.nextID()
		r.ids = append(r.ids, id)
		t.ToolCalls = append(t.ToolCalls, openai.NewTurnCall(id, call.Function.Name, call.Function.Arguments))
		return nil
	})
}
