package openai

import "strconv"

// CompletionRequest is the body of POST /v1/completions. Of ChatRequest it has
// what says how to answer, and no messages.
type CompletionRequest struct {
	ChatRequest
	Prompts  []TextPrompt // 1 to MaxPrompts
	BareText bool         // add_special_tokens false: texts are encoded as they are
	Echo     bool         // each text begins with its prompt
}

// TextPrompt is one prompt: ids where they are not nil, else a text.
type TextPrompt struct {
	Text string
	IDs  []int32
}

// Bounds of a completion request.
const (
	MaxPrompts     = 64
	MaxTextChoices = 256 // of all prompts together
	UsualMaxTokens = 16  // max_tokens where it is not given
)

// textMembers are the members that mean in a completion what they mean in a
// chat.
var textMembers = map[string]bool{
	"model": true, "stream": true, "stream_options": true, "n": true, "max_tokens": true, "min_tokens": true,
	"temperature": true, "top_p": true, "top_k": true, "min_p": true,
	"presence_penalty": true, "frequency_penalty": true, "repetition_penalty": true, "logit_bias": true, "seed": true,
	"stop": true, "stop_token_ids": true, "ignore_eos": true, "include_stop_str_in_output": true, "skip_special_tokens": true,
	"prompt_logprobs": true, "return_token_ids": true,
	"priority": true, "cache_salt": true, "request_id": true,
}

// DecodeCompletion reads the body of a completion request. An error is an
// *Error.
func DecodeCompletion(body []byte) (*CompletionRequest, error) {
	d := completionDecoder{chatDecoder: newChatDecoder()}
	if err := ReadObject(body, func(name string, v Value) error { return d.member(name, v.v) }); err != nil {
		return nil, err
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return &CompletionRequest{ChatRequest: d.req, Prompts: d.prompts, BareText: d.bare, Echo: d.echo}, nil
}

// completionDecoder is a request on its way.
type completionDecoder struct {
	chatDecoder
	prompts []TextPrompt
	bare    bool
	echo    bool
	bestOf  *int
}

func (d *completionDecoder) member(name string, v value) error {
	switch {
	case v.null():
		if _, known := chatFields[name]; known || textOnlyMembers[name] {
			return nil
		}
	case name == "prompt":
		return d.prompt(name, v)
	case name == "best_of":
		return integer(func(*chatDecoder) **int { return &d.bestOf }, 1, MaxChoices)(&d.chatDecoder, name, v)
	case name == "add_special_tokens":
		special := true
		err := boolean(func(*chatDecoder) *bool { return &special })(&d.chatDecoder, name, v)
		d.bare = !special
		return err
	case name == "logprobs":
		d.req.Logprobs = true // 0 asks for the token's own
		return integer(func(*chatDecoder) **int { return &d.req.TopLogprobs }, 0, MaxTopLogprobs)(&d.chatDecoder, name, v)
	case name == "echo":
		return boolean(func(*chatDecoder) *bool { return &d.echo })(&d.chatDecoder, name, v)
	case textMembers[name]:
		return chatFields[name](&d.chatDecoder, name, v)
	case chatFields[name] != nil:
		return unsupported(name, "belongs to a chat; a completion is the model's text as it is")
	}
	return Refuse(name, name, Value{v})
}

// textOnlyMembers have a meaning of their own in completions.
var textOnlyMembers = map[string]bool{"prompt": true, "best_of": true, "add_special_tokens": true, "logprobs": true, "echo": true}

// prompt reads a text, ids, or a list of either.
func (d *completionDecoder) prompt(name string, v value) error {
	switch v.kind() {
	case "string":
		d.prompts = append(d.prompts, TextPrompt{Text: v.text()})
		return nil
	case "array":
	default:
		return invalid(name, "must be a string or an array, got %s", v.kind())
	}
	inside := v.inside()
	if len(inside) == 0 {
		return invalid(name, "is empty")
	}
	first, _ := cut(inside)
	if first.kind() == "number" {
		ids, err := Value{v}.IDs(name)
		d.prompts = append(d.prompts, TextPrompt{IDs: ids})
		return err
	}
	if kind := first.kind(); kind != "string" && kind != "array" {
		return invalid(name, "must be a list of texts, of ids or of lists of ids, got a list with %s", kind)
	}
	return v.items(func(i int, v value) error {
		if i == MaxPrompts {
			return invalid(name, "more than %d prompts", MaxPrompts)
		}
		return d.oneOf(name+"["+strconv.Itoa(i)+"]", first.kind(), v)
	})
}

// oneOf reads one of several prompts, which are all of one kind.
func (d *completionDecoder) oneOf(path, kind string, v value) (err error) {
	if err := expect(v, path, kind); err != nil {
		return err
	}
	p := TextPrompt{}
	if kind == "string" {
		p.Text = v.text()
	} else if p.IDs, err = (Value{v}).IDs(path); err != nil {
		return err
	}
	d.prompts = append(d.prompts, p)
	return nil
}

// finish checks what concerns more than one member.
func (d *completionDecoder) finish() error {
	r := &d.req
	if d.prompts == nil {
		return Missing("prompt", "there is nothing to complete")
	}
	if len(d.prompts)*r.N > MaxTextChoices {
		return invalid("n", "%d choices for each of %d prompts are more than %d", r.N, len(d.prompts), MaxTextChoices)
	}
	if d.bestOf != nil && *d.bestOf != r.N {
		if *d.bestOf < r.N {
			return invalid("best_of", "is less than n")
		}
		return unsupported("best_of", "greater than n is not supported by this server")
	}
	if r.MinTokens != nil && r.MaxTokens == nil && *r.MinTokens > UsualMaxTokens {
		return invalid("min_tokens", "is greater than max_tokens, which is %d where it is not given", UsualMaxTokens)
	}
	return d.chatDecoder.finish(false)
}
