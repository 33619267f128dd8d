package native

import "github.com/reasond/reasond/api/openai"

// TokenizeRequest is the body of POST /tokenize: texts, or a chat.
type TokenizeRequest struct {
	Model        string
	Prompts      []string
	Many         bool // prompt was an array
	Chat         *openai.ChatRequest
	AddSpecial   bool // true for texts if not given
	TokenStrings bool // return_token_strs
}

// DecodeTokenize reads the body of a /tokenize request. An error is an
// *openai.Error.
func DecodeTokenize(body []byte) (*TokenizeRequest, error) {
	t := &TokenizeRequest{}
	var special *bool
	chat := openai.NewChatReader()
	err := openai.ReadObject(body, func(name string, v openai.Value) (err error) {
		if v.Null() {
			return nil
		}
		if name == "model" || chatMembers[name] {
			return chat.Set(name, name, v)
		}
		switch name {
		case "prompt":
			t.Many, err = list(v, name, "string", MaxBatch, func(path string, v openai.Value) error {
				text, err := v.String(path)
				t.Prompts = append(t.Prompts, text)
				return err
			})
			if t.Prompts == nil {
				t.Prompts = []string{}
			}
			return err
		case "add_special_tokens":
			special = new(bool)
			*special, err = v.Bool(name)
			return err
		case "return_token_strs":
			t.TokenStrings, err = v.Bool(name)
			return err
		}
		return openai.Refuse(name, name, v)
	})
	if err != nil {
		return nil, err
	}
	wire, err := chat.Finish(false)
	if err != nil {
		return nil, err
	}
	switch t.Model = wire.Model; {
	case (t.Prompts == nil) == (wire.Messages == nil):
		return nil, openai.Missing("prompt", "exactly one of prompt and messages is needed")
	case wire.Messages != nil && special != nil && *special:
		return nil, openai.Unsupported("add_special_tokens", "the chat template says what stands around a chat")
	case wire.Messages != nil:
		t.Chat = wire
	}
	t.AddSpecial = t.Chat == nil && (special == nil || *special)
	return t, nil
}

// TokenizeResponse is vLLM's answer, SGLang's among it.
type TokenizeResponse struct {
	Count       int      `json:"count"`
	MaxModelLen int      `json:"max_model_len"`
	Tokens      []int32  `json:"tokens"`
	TokenStrs   []string `json:"token_strs"` // null if not asked for
}

// TokenizeListResponse answers a list of texts.
type TokenizeListResponse struct {
	Count       []int      `json:"count"`
	MaxModelLen int        `json:"max_model_len"`
	Tokens      [][]int32  `json:"tokens"`
	TokenStrs   [][]string `json:"token_strs"`
}

// DetokenizeRequest is the body of POST /detokenize.
type DetokenizeRequest struct {
	Model       string
	Tokens      [][]int32
	Many        bool // tokens was an array of arrays
	SkipSpecial bool // of Text; true if not given
}

// DecodeDetokenize reads the body of a /detokenize request. An error is an
// *openai.Error.
func DecodeDetokenize(body []byte) (*DetokenizeRequest, error) {
	d := &DetokenizeRequest{SkipSpecial: true}
	chat := openai.NewChatReader()
	err := openai.ReadObject(body, func(name string, v openai.Value) (err error) {
		if v.Null() {
			return nil
		}
		switch name {
		case "model":
			return chat.Set(name, name, v)
		case "tokens":
			d.Tokens, d.Many, err = idLists(v, name, MaxBatch)
			return err
		case "skip_special_tokens":
			d.SkipSpecial, err = v.Bool(name)
			return err
		}
		return openai.Refuse(name, name, v)
	})
	if err != nil {
		return nil, err
	}
	wire, err := chat.Finish(false)
	if err != nil {
		return nil, err
	}
	if d.Model = wire.Model; d.Tokens == nil {
		return nil, openai.Missing("tokens", "the ids of a text are needed")
	}
	return d, nil
}

// DetokenizeResponse is one text under two names: vLLM's prompt has every
// token, SGLang's text follows skip_special_tokens.
type DetokenizeResponse struct {
	Prompt string `json:"prompt"`
	Text   string `json:"text"`
}

// DetokenizeListResponse answers a list of lists.
type DetokenizeListResponse struct {
	Prompt []string `json:"prompt"`
	Text   []string `json:"text"`
}

// ApplyTemplateResponse is llama.cpp's answer of POST /apply-template, whose
// body is a chat request.
type ApplyTemplateResponse struct {
	Prompt string `json:"prompt"`
}
