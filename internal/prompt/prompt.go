// Package prompt turns a chat into a prompt: it renders the model's chat
// template over the messages, marks where client text spells control tokens,
// and says whether the prompt leaves a reasoning block open.
//
// It is pure: the clock is an argument, files are the caller's fs.FS. It knows
// no request, no tokens and no parser beyond the markers it is given.
package prompt

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/native"
	"github.com/reasond/reasond/internal/tokenizer"
)

// ErrNoTemplate is returned for a model that has no chat template. None is
// guessed: a wrong one makes a model silently worse.
var ErrNoTemplate = errors.New("the model has no chat template; give one with --chat-template")

// Config is what a model's chats are rendered with.
type Config struct {
	Templates Templates
	// Tokens are the special tokens that templates read as variables:
	// bos_token, eos_token and others; see ParseTokens.
	Tokens map[string]string
	// Control are the tokens that client text must not become; see ControlTokens.
	Control []string
	// Limits bound each render; zero fields take defaults.
	Limits native.Limits
}

// Input is a chat.
type Input struct {
	Messages json.RawMessage // array of message objects
	Tools    json.RawMessage // array of tool objects; nil, null and [] are none
	// Kwargs are further variables for the template (chat_template_kwargs).
	Kwargs               map[string]json.RawMessage
	AddGenerationPrompt  bool // begin the assistant's turn
	ContinueFinalMessage bool // leave the last message open, to be continued
	Now                  time.Time
	Markers              Markers
	// AsIs hands messages to the template without the normalisation that
	// clients' habits need, as Python's jinja2 alone would.
	AsIs bool
}

// Markers open and close a reasoning block in the model's text.
type Markers struct{ Open, Close []string }

// Span is a range of bytes of the prompt.
type Span = tokenizer.Span

// Output is a rendered chat.
type Output struct {
	Text string
	// Spans are where client text spells a control token; they increase and are
	// disjoint. They are to be encoded as plain text.
	Spans []Span
	// ReasoningOpen says whether the assistant's turn, as far as the prompt
	// holds it, is inside a reasoning block; unknown without markers.
	ReasoningOpen reasoning.Open
}

// Renderer renders one model's chats. It is safe for concurrent use.
type Renderer struct {
	plain, tools *engine // tools is plain where there is no template for tools
	tokens       []member
	control      *literals
	switches     Switches
}

// NewRenderer compiles the templates.
func NewRenderer(cfg Config) (*Renderer, error) {
	plain, tools, err := cfg.Templates.pick()
	if err != nil {
		return nil, err
	}
	r := &Renderer{control: newLiterals(cfg.Control), tokens: tokenVariables(cfg.Tokens)}
	if r.plain, err = newEngine(plain, cfg.Limits, r.tokens); err != nil {
		return nil, err
	}
	r.switches = probeSwitches(r.plain, r.tokens, plain)
	r.tools = r.plain
	if tools != plain {
		if r.tools, err = newEngine(tools, cfg.Limits, r.tokens); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// Close frees the templates, which must be in no call.
func (r *Renderer) Close() {
	r.plain.close()
	r.tools.close()
}

// Render renders a chat. Its errors are of kind Invalid, and name the field,
// where the chat is at fault.
func (r *Renderer) Render(in Input) (Output, error) {
	if in.AddGenerationPrompt && in.ContinueFinalMessage {
		return Output{}, llm.Errorf(llm.Invalid, "continue_final_message",
			"continue_final_message and add_generation_prompt exclude each other")
	}
	chat, err := readChat(in)
	if err != nil {
		return Output{}, err
	}
	if err := r.checkNames(chat.kwargs); err != nil {
		return Output{}, err
	}
	engine := r.plain
	if chat.tools != nil {
		engine = r.tools
	}
	if !in.AsIs {
		if err := normalise(chat.messages, engine.formats); err != nil {
			return Output{}, err
		}
	}
	d := &draft{in: in, chat: chat, engine: engine, tokens: r.tokens, control: r.control}
	return d.render()
}
