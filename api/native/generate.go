package native

import (
	"errors"
	"math"
	"strings"

	"github.com/reasond/reasond/api/openai"
)

// UsualNewTokens is max_new_tokens where a request gives none, as in SGLang.
const UsualNewTokens = 128

// GenerateRequest is the body of POST /generate. Exactly one of Texts, IDs and
// Chat.Messages is the prompt, or the prompts. How to answer stands in Chat,
// under OpenAI's names.
type GenerateRequest struct {
	Texts []string
	IDs   [][]int32
	Many  bool // text or input_ids was an array of prompts
	Chat  *openai.ChatRequest
	// PromptFrom is the first token of the prompt whose log-probability is wanted;
	// Chat.PromptLogprobs is nil where none is.
	PromptFrom int
	TokenTexts bool // return_text_in_logprobs

	forChat string // a member that only a chat can have, if one was given
}

// params are the members of sampling_params, with the chat member that means
// the same.
var params = map[string]string{
	"max_new_tokens": "max_tokens", "min_new_tokens": "min_tokens",
	"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p",
	"frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty", "repetition_penalty": "repetition_penalty",
	"logit_bias": "logit_bias", "sampling_seed": "seed", "n": "n",
	"stop": "stop", "stop_token_ids": "stop_token_ids", "ignore_eos": "ignore_eos",
	"regex": "regex", "ebnf": "ebnf", "json_schema": "json_schema", "structural_tag": "structural_tag",
	"no_stop_trim": "include_stop_str_in_output", "skip_special_tokens": "skip_special_tokens",
}

// ParamName is the path in a /generate body of what a chat request calls field.
func ParamName(field string) string {
	for name, chat := range params {
		if chat == field {
			return paramsName + "." + name
		}
	}
	for name, chat := range top {
		if chat == field {
			return name
		}
	}
	return field
}

const paramsName = "sampling_params"

// top are the members beside the prompt and sampling_params, likewise.
var top = map[string]string{
	"model": "model", "stream": "stream", "rid": "request_id", "cache_salt": "cache_salt", "priority": "priority",
	"return_logprob": "logprobs", "top_logprobs_num": "top_logprobs",
}

// idle are members of SGLang's that have no effect here, with the JSON texts
// under which having none is right; none: whatever the value is.
var idle = map[string][]string{
	"token_ids_logprob": {"[]"}, "image_data": {"[]"}, "video_data": {"[]"}, "audio_data": {"[]"},
	"input_embeds": {"[]"}, "require_reasoning": {"false"}, "background": {"false"}, "return_entropy": {"false"},
	"log_metrics": nil, "no_logs": nil, "conversation_id": nil, "custom_labels": nil, "received_time": nil,
}

// DecodeGenerate reads the body of a /generate request. An error is an
// *openai.Error.
func DecodeGenerate(body []byte) (*GenerateRequest, error) {
	g := &GenerateRequest{PromptFrom: -1}
	chat := openai.NewChatReader()
	err := openai.ReadObject(body, func(name string, v openai.Value) error { return g.member(chat, name, v) })
	if err != nil {
		return nil, err
	}
	if g.Chat, err = chat.Finish(false); err != nil {
		return nil, renamed(err)
	}
	if g.Chat.Messages == nil && g.forChat != "" {
		return nil, openai.Invalid(g.forChat, "belongs to a chat, and there are no messages")
	}
	if g.Chat.DropReasoning {
		return nil, openai.Unsupported("reasoning.exclude", "the text is given whole here")
	}
	if g.Chat.Logprobs && g.PromptFrom >= 0 {
		if g.Chat.PromptLogprobs = g.Chat.TopLogprobs; g.Chat.PromptLogprobs == nil {
			g.Chat.PromptLogprobs = new(int)
		}
	}
	prompts := 0
	for _, given := range []bool{g.Texts != nil, g.IDs != nil, g.Chat.Messages != nil} {
		if given {
			prompts++
		}
	}
	if prompts != 1 {
		return nil, openai.Missing("text", "exactly one of text, input_ids and messages is needed")
	}
	if n := len(g.Texts) + len(g.IDs); n*g.Chat.N > openai.MaxTextChoices {
		return nil, openai.Invalid(ParamName("n"), "%d choices for each of %d prompts are more than %d", g.Chat.N, n, openai.MaxTextChoices)
	}
	if g.Chat.MinTokens != nil && g.Chat.MaxTokens == nil && *g.Chat.MinTokens > UsualNewTokens {
		return nil, openai.Invalid(ParamName("min_tokens"), "is greater than max_new_tokens, which is %d if not given", UsualNewTokens)
	}
	// The text is the model's own: SGLang splits nothing here.
	g.Chat.SeparateReasoning = false
	return g, nil
}

func (g *GenerateRequest) member(chat *openai.ChatReader, name string, v openai.Value) (err error) {
	if field, ok := top[name]; ok {
		return chat.Set(field, name, v)
	}
	if chatMembers[name] {
		if name != "messages" && !v.Null() {
			g.forChat = name
		}
		return chat.Set(name, name, v)
	}
	switch name {
	case "text":
		if v.Null() {
			return nil
		}
		g.Texts = []string{}
		g.Many, err = list(v, name, "string", openai.MaxPrompts, func(path string, v openai.Value) error {
			text, err := v.String(path)
			g.Texts = append(g.Texts, text)
			return err
		})
		return atLeastOne(name, len(g.Texts), err)
	case "logprob_start_len":
		if v.Null() {
			return nil
		}
		g.PromptFrom, err = v.Int(name, -1, math.MaxInt32)
		return err
	case "return_text_in_logprobs":
		if v.Null() {
			return nil
		}
		g.TokenTexts, err = v.Bool(name)
		return err
	case "input_ids":
		if v.Null() {
			return nil
		}
		g.IDs, g.Many, err = idLists(v, name, openai.MaxPrompts)
		return atLeastOne(name, len(g.IDs), err)
	case paramsName:
		if v.Null() {
			return nil
		}
		if v.Kind() == "array" {
			return openai.Unsupported(name, "one for all prompts")
		}
		if err := v.Expect(name, "object"); err != nil {
			return err
		}
		return v.Members(func(name string, v openai.Value) error { return param(chat, name, v) })
	}
	if texts, ok := idle[name]; ok {
		return atRest(name, v, texts)
	}
	return openai.Refuse(name, name, v)
}

func atLeastOne(name string, n int, err error) error {
	if err == nil && n == 0 {
		return openai.Invalid(name, "there is no prompt in it")
	}
	return err
}

func param(chat *openai.ChatReader, name string, v openai.Value) error {
	path := paramsName + "." + name
	if field, ok := params[name]; ok {
		return chat.Set(field, path, v)
	}
	return openai.Refuse(name, path, v)
}

func atRest(name string, v openai.Value, texts []string) error {
	if v.Null() || texts == nil {
		return nil
	}
	for _, text := range texts {
		if string(v.JSON()) == text {
			return nil
		}
	}
	return openai.Unsupported(name, "not supported by this server")
}

// renamed gives an error about a chat's member the name that it has here.
func renamed(err error) error {
	var e *openai.Error
	if !errors.As(err, &e) {
		return err
	}
	path := ParamName(e.Param)
	message := strings.ReplaceAll(strings.Replace(e.Message, e.Param, path, 1), "max_tokens", "max_new_tokens")
	return &openai.Error{Param: path, Code: e.Code, Message: message}
}

// GenerateResponse is the answer, or one event of its stream: Text is then all
// of the text so far. Several prompts or choices are an array of these, the
// choices of one prompt beside each other; in a stream each has its index.
type GenerateResponse struct {
	Index     *int    `json:"index,omitempty"`
	Text      string  `json:"text"`
	OutputIDs []int32 `json:"output_ids,omitempty"` // all tokens so far; absent where the server behind this one gives none
	Meta      Meta    `json:"meta_info"`
}

// TokenLogprob is a log-probability, null for a prompt's first token; the token's
// id, -1 if it is not known; its text, null unless that was asked for.
type TokenLogprob [3]any

// Meta counts tokens so far. CachedTokens is known at the finish.
type Meta struct {
	ID               string        `json:"id"`
	FinishReason     *FinishReason `json:"finish_reason"` // null until the finish
	PromptTokens     int           `json:"prompt_tokens"`
	CompletionTokens int           `json:"completion_tokens"`
	CachedTokens     int           `json:"cached_tokens"`
	ReasoningTokens  int           `json:"reasoning_tokens"`

	// With return_logprob, of the tokens that the text shows and, from
	// logprob_start_len on, of the prompt; the likeliest of each with top_logprobs_num.
	InputTokenLogprobs  []TokenLogprob   `json:"input_token_logprobs,omitempty"`
	OutputTokenLogprobs []TokenLogprob   `json:"output_token_logprobs,omitempty"`
	InputTopLogprobs    [][]TokenLogprob `json:"input_top_logprobs,omitempty"`
	OutputTopLogprobs   [][]TokenLogprob `json:"output_top_logprobs,omitempty"`
}

// FinishReason says why a choice ended.
type FinishReason struct {
	Type    string              `json:"type"`              // stop or length
	Matched *openai.MatchedStop `json:"matched,omitempty"` // stop: the token's id or the stop string
	Length  int                 `json:"length,omitempty"`  // length: the tokens that there could be
}
