// Package responses holds the wire types of OpenAI's Responses API: decode,
// validate, encode. A request becomes a chat request of package openai, whose
// members and checks it shares; Writer makes the answer, in either form, of
// pieces of text. The package knows of no store: what a request refers to is
// given to it.
package responses

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/reasond/reasond/api/openai"
)

// Request is the body of POST /v1/responses.
type Request struct {
	Input    []Item // with ids; references are resolved by Chat
	Previous string // the response whose conversation goes on; "": none
	Settings Settings

	chat  *openai.ChatReader
	given bool // input
}

// Decode reads a body. An error is an *openai.Error that names the member as
// this API calls it.
func Decode(body []byte) (*Request, error) {
	r := &Request{chat: openai.NewChatReader(), Settings: Settings{
		ToolChoice: json.RawMessage(`"auto"`), ParallelToolCalls: true, Truncation: "disabled", Store: true,
		Text:        TextSettings{Format: json.RawMessage(`{"type":"text"}`), Verbosity: "medium"},
		ServiceTier: "default", Metadata: json.RawMessage("{}"),
	}}
	if err := openai.ReadObject(body, r.member); err != nil {
		return nil, err
	}
	if !r.given && r.Previous == "" && r.Settings.Instructions == nil {
		return nil, openai.Missing("input", "must be given")
	}
	return r, nil
}

// same are members that mean what the chat request's member means.
var same = map[string]string{
	"model": "model", "max_output_tokens": "max_completion_tokens", "stream": "stream", "stream_options": "stream_options",
	"temperature": "temperature", "top_p": "top_p", "parallel_tool_calls": "parallel_tool_calls", "top_logprobs": "top_logprobs",
	// Beyond OpenAI's, as peers take them.
	"stop": "stop", "seed": "seed", "top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repetition_penalty",
	"presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty", "logit_bias": "logit_bias",
	"min_tokens": "min_tokens", "stop_token_ids": "stop_token_ids", "ignore_eos": "ignore_eos", "include_stop_str_in_output": "include_stop_str_in_output",
	"chat_template_kwargs": "chat_template_kwargs", "enable_thinking": "enable_thinking", "cache_salt": "cache_salt", "priority": "priority",
	"thinking_token_budget": "thinking_token_budget", "reserve_answer_tokens": "reserve_answer_tokens",
	"break_reasoning_loops": "break_reasoning_loops", "reasoning_control": "reasoning_control",
	"include_reasoning": "include_reasoning", "structured_outputs": "structured_outputs",
}

// idle are members that change nothing here.
var idle = map[string]bool{
	"service_tier": true, "prompt_cache_retention": true, "prompt_cache_options": true, "max_tool_calls": true, "client_metadata": true,
}

// notBuilt are this API's members that would change the answer.
var notBuilt = map[string]bool{
	"conversation": true, "prompt": true, "context_management": true, "moderation": true, "access_programs": true,
	"background_options": true, "image": true,
}

func (r *Request) member(name string, v openai.Value) error {
	if v.Null() || idle[name] {
		return nil
	}
	if field, ok := same[name]; ok {
		return r.chat.Set(field, name, v)
	}
	set := &r.Settings
	var err error
	switch name {
	case "input":
		r.given = true
		r.Input, err = readInput(v)
	case "instructions":
		set.Instructions, err = text(name, v)
	case "previous_response_id":
		set.PreviousResponseID, err = text(name, v)
		if err == nil {
			r.Previous = *set.PreviousResponseID
		}
	case "user":
		set.User, err = text(name, v)
	case "safety_identifier":
		set.SafetyIdentifier, err = text(name, v)
	case "prompt_cache_key":
		set.PromptCacheKey, err = text(name, v)
	case "store":
		set.Store, err = v.Bool(name)
	case "background":
		err = r.background(v)
	case "truncation":
		set.Truncation, err = oneOf(name, v, "disabled", "auto")
	case "metadata":
		err = r.metadata(v)
	case "include":
		err = r.include(v)
	case "reasoning":
		err = r.reasoning(v)
	case "text":
		err = r.text(v)
	case "tools":
		err = r.tools(v)
	case "tool_choice":
		err = r.toolChoice(v)
	default:
		if notBuilt[name] {
			return openai.Unsupported(name, "not supported by this server")
		}
		err = openai.Refuse(name, name, v)
	}
	return err
}

func text(name string, v openai.Value) (*string, error) {
	s, err := v.String(name)
	return &s, err
}

// oneOf is a string out of few.
func oneOf(name string, v openai.Value, values ...string) (string, error) {
	s, err := v.String(name)
	if err != nil {
		return "", err
	}
	all := ""
	for _, value := range values {
		if s == value {
			return s, nil
		}
		all += ", " + value
	}
	return "", openai.Invalid(name, "must be one of %s", all[2:])
}

func (r *Request) background(v openai.Value) error {
	on, err := v.Bool("background")
	if err == nil && on {
		return openai.Unsupported("background", "not supported by this server")
	}
	return err
}

// Bounds of metadata, OpenAI's.
const (
	maxMetadata      = 16
	maxMetadataKey   = 64  // characters
	maxMetadataValue = 512 // characters
)

func (r *Request) metadata(v openai.Value) error {
	if err := v.Expect("metadata", "object"); err != nil {
		return err
	}
	r.Settings.Metadata = v.JSON()
	n := 0
	return v.Members(func(key string, v openai.Value) error {
		value, err := v.String("metadata")
		n++
		switch {
		case err != nil:
			return err
		case n > maxMetadata, utf8.RuneCountInString(key) > maxMetadataKey, utf8.RuneCountInString(value) > maxMetadataValue:
			return openai.Invalid("metadata", "must have at most %d members, of names of %d and values of %d characters", maxMetadata, maxMetadataKey, maxMetadataValue)
		}
		return nil
	})
}

// include asks for more in the output. What belongs to tools that are not built
// is never there to be included; reasoning is there as plain text, so that
// nothing encrypted is needed to send it back.
func (r *Request) include(v openai.Value) error {
	if err := v.Expect("include", "array"); err != nil {
		return err
	}
	return v.Items(func(_ int, v openai.Value) error {
		what, err := oneOf("include", v, "message.output_text.logprobs", "reasoning.encrypted_content", "file_search_call.results",
			"web_search_call.results", "web_search_call.action.sources", "message.input_image.image_url",
			"computer_call_output.output.image_url", "code_interpreter_call.outputs")
		if err == nil && what == "message.output_text.logprobs" {
			return r.chat.Set("logprobs", "include", openai.NewValue(true))
		}
		return err
	})
}

// reasoning is {effort, summary}, and what the chat request has in it. A summary
// is not made, the reasoning itself is shown.
func (r *Request) reasoning(v openai.Value) error {
	set := &r.Settings.Reasoning
	return v.Object("reasoning", func(name, at string, v openai.Value) error {
		switch name {
		case "summary", "generate_summary":
			kind, err := oneOf(at, v, "auto", "concise", "detailed")
			set.Summary = &kind
			return err
		case "effort":
			effort, err := text(at, v)
			if set.Effort = effort; err != nil {
				return err
			}
			return r.chat.Set("reasoning_effort", at, v)
		case "mode", "context":
			if s, err := v.String(at); err != nil || s == "auto" || s == "standard" {
				return err
			}
			return openai.Unsupported(at, "not supported by this server")
		}
		return r.chat.Set("reasoning", "reasoning", openai.NewValue(map[string]json.RawMessage{name: v.JSON()}))
	})
}

// text is {format, verbosity}.
func (r *Request) text(v openai.Value) error {
	return v.Object("text", func(name, at string, v openai.Value) error {
		switch name {
		case "format":
			return r.format(at, v)
		case "verbosity":
			return openai.Refuse(name, at, v)
		}
		return openai.Unknown(at)
	})
}

// format is that of the answer; the schema stands beside its name.
func (r *Request) format(path string, v openai.Value) error {
	if err := v.Expect(path, "object"); err != nil {
		return err
	}
	r.Settings.Text.Format = v.JSON()
	var kind string
	var schema *openai.Value
	err := v.Members(func(name string, v openai.Value) (err error) {
		at := path + "." + name
		switch {
		case name == "type":
			kind, err = oneOf(at, v, "text", "json_object", "json_schema")
		case v.Null():
		case name == "schema":
			schema = &v
		case name == "name" || name == "description":
			err = v.Expect(at, "string")
		case name == "strict":
			err = v.Expect(at, "boolean")
		default:
			err = openai.Unknown(at)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case kind == "":
		return openai.Missing(path+".type", "must be given")
	case kind == "json_object":
		return r.chat.Set("response_format", path, openai.NewValue(map[string]string{"type": kind}))
	case kind == "json_schema" && schema == nil:
		return openai.Missing(path+".schema", "must be given")
	case kind == "json_schema":
		return r.chat.Set("json_schema", path+".schema", *schema)
	}
	return nil
}
