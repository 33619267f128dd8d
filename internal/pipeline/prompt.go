package pipeline

import (
	"slices"
	"strconv"
	"time"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/prompt"
)

var errNoPrompt = llm.Errorf(llm.Invalid, "prompt", "The prompt is empty")

// prompted is a request's prompt in the form that the engine takes.
type prompted struct {
	llm.Prompt
	ids    []int32 // of a text prompt; nil: not known
	tokens int     // 0: the engine counts them
	open   reasoning.Open
	spent  bool // the thought that it opens is closed in it: there is no budget for one
}

// prompt makes the request's prompt, from its chat or as it was given, and says
// whether that leaves a reasoning block open. Where the engine renders chats
// itself, nothing is known of that.
func (m *Model) prompt(req *Request) (prompted, error) {
	if m.Tokenizer == nil {
		if req.Prompt != nil {
			return prompted{}, llm.Errorf(llm.Unsupported, "prompt", "prompt: the server behind this one takes chats only")
		}
		chat := req.Chat
		chat.Kwargs = m.kwargs(req)
		return prompted{Prompt: llm.Prompt{Chat: &chat}}, nil
	}
	ids, plain, open, err := m.tokens(req)
	if err != nil {
		return prompted{}, err
	}
	p := prompted{Prompt: llm.Prompt{IDs: ids}, tokens: len(ids), open: open}
	if !m.Engine.Caps().IDs {
		if plain {
			return prompted{}, llm.Errorf(llm.Invalid, req.promptField(), "%s spells control tokens, and the server behind this one could not tell them from real ones", req.promptField())
		}
		p.Prompt, p.ids = llm.Prompt{Text: m.Tokenizer.Vocab().Decode(ids, false)}, ids
	}
	return p, nil
}

// tokens encodes the prompt. plain says that some of it spells control tokens
// without being them.
func (m *Model) tokens(req *Request) (ids []int32, plain bool, open reasoning.Open, err error) {
	switch {
	case req.Prompt == nil:
		rendered, err := m.render(req)
		if err != nil {
			return nil, false, open, err
		}
		ids, err := m.encode(req.promptField(), rendered.Text, func() ([]int32, error) {
			return m.Tokenizer.Encode(rendered.Text, rendered.Spans)
		})
		return ids, len(rendered.Spans) > 0, rendered.ReasoningOpen, err
	case req.Prompt.IDs != nil:
		ids := slices.Clone(req.Prompt.IDs)
		switch n := len(ids); {
		case n == 0:
			return nil, false, open, errNoPrompt
		case n > m.MaxContext:
			return nil, false, open, tooLong(req.promptField(), strconv.Itoa(n), 0, m.MaxContext)
		}
		if err := m.checkIDs(ids); err != nil {
			return nil, false, open, err
		}
		return ids, false, m.Renderer.ReasoningOpen(m.Tokenizer.Vocab().Decode(ids, false), m.markers()), nil
	}
	text := req.Prompt.Text
	ids, err = m.Tokens(text, !req.BareText)
	if err == nil && len(ids) == 0 {
		err = errNoPrompt
	}
	return ids, false, m.Renderer.ReasoningOpen(text, m.markers()), err
}

// promptField is what errors call the prompt.
func (r *Request) promptField() string {
	if r.Prompt == nil {
		return "messages"
	}
	return "prompt"
}

var errNoTokenizer = llm.Errorf(llm.Unsupported, "model", "model: the server behind this one makes prompts and tokens itself")

// Render is the text of a chat's prompt.
func (m *Model) Render(req *Request) (string, error) {
	if m.Tokenizer == nil {
		return "", errNoTokenizer
	}
	out, err := m.render(req)
	return out.Text, err
}

// ChatTokens is a chat's prompt.
func (m *Model) ChatTokens(req *Request) ([]int32, error) {
	if m.Tokenizer == nil {
		return nil, errNoTokenizer
	}
	ids, _, _, err := m.tokens(req)
	return ids, err
}

// Tokens encodes a text as it is, in which control tokens are control tokens;
// special puts around it what the model wants around a text. A text that cannot
// be within the model's context is TooLong.
func (m *Model) Tokens(text string, special bool) ([]int32, error) {
	if m.Tokenizer == nil {
		return nil, errNoTokenizer
	}
	return m.encode("prompt", text, func() ([]int32, error) {
		if special {
			return m.Tokenizer.EncodeRaw(text, nil)
		}
		return m.Tokenizer.Encode(text, nil)
	})
}

// Text is what ids stand for; dropControl leaves control tokens out.
func (m *Model) Text(ids []int32, dropControl bool) (string, error) {
	if m.Tokenizer == nil {
		return "", errNoTokenizer
	}
	if err := m.checkIDs(ids); err != nil {
		return "", err
	}
	return m.Tokenizer.Vocab().Decode(ids, dropControl), nil
}

// TokenNames are the tokens' strings as the tokenizer's file has them.
func (m *Model) TokenNames(ids []int32) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = m.Tokenizer.Vocab().Name(id)
	}
	return names
}

func (m *Model) checkIDs(ids []int32) error {
	vocab := m.Tokenizer.Vocab()
	for _, id := range ids {
		if !vocab.Has(id) {
			return llm.Errorf(llm.Invalid, "prompt", "%d is not the id of a token", id)
		}
	}
	return nil
}

func (m *Model) markers() prompt.Markers {
	if m.Parser == nil {
		return prompt.Markers{}
	}
	return prompt.Markers{Open: m.Parser.Opens, Close: m.Parser.Closes}
}

func (m *Model) render(req *Request) (prompt.Output, error) {
	return m.Renderer.Render(prompt.Input{
		Messages: req.Chat.Messages, Tools: req.Chat.Tools, Kwargs: m.kwargs(req),
		AddGenerationPrompt: req.Chat.AddGenerationPrompt, ContinueFinalMessage: req.Chat.ContinueFinalMessage,
		Now: time.Now(), Markers: m.markers(),
	})
}

// encode refuses a text that is far too long before the seconds that encoding
// it would take.
func (m *Model) encode(field, text string, encode func() ([]int32, error)) ([]int32, error) {
	if least := m.fewestTokens(len(text)); least > m.MaxContext {
		return nil, tooLong(field, "at least "+strconv.Itoa(least), 0, m.MaxContext)
	}
	return encode()
}

// fewestTokens is a lower bound of the tokens of so many bytes of prompt, so
// that a text which is far too long is refused without the seconds that
// encoding it would take. shrink is what normalising may take off a text.
func (m *Model) fewestTokens(bytes int) int {
	const shrink = 4
	return bytes / (shrink * max(1, m.Tokenizer.Vocab().Longest()))
}

func tooLong(field, prompt string, maxTokens, context int) error {
	e := llm.Errorf(llm.TooLong, field, "This model's maximum context length is %d tokens. The prompt has %s", context, prompt)
	if maxTokens > 0 {
		e = llm.Errorf(llm.TooLong, "max_tokens", "This model's maximum context length is %d tokens. The prompt has %s and max_tokens asks for %d more", context, prompt, maxTokens)
	}
	e.Code = "context_length_exceeded"
	return e
}
