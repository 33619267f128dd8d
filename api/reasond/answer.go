package reasond

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// Params say how to answer. A nil pointer is the model's default.
type Params struct {
	MaxTokens   int // 0: what the context leaves
	Temperature *float64
	TopP        *float64
	TopK        *int
	MinP        *float64
	Seed        *uint64  // nil: drawn
	Stop        []string // texts that end the content; inert in reasoning

	Thinking       *bool          // whether a chat's answer is thought about, where the model has a switch
	Effort         string         // and how hard: none, minimal, low, medium, high, xhigh, max; "": not said
	TemplateKwargs map[string]any // further options for the chat template
}

// Message is one turn of a chat.
type Message struct {
	Role      string `json:"role"` // system, user, assistant
	Content   string `json:"content"`
	Reasoning string `json:"reasoning_content,omitempty"` // an earlier answer's; templates decide what becomes of it
}

// Answer is what the model said.
type Answer struct {
	Reasoning    string
	Content      string
	FinishReason string // stop or length
	Usage        Usage
}

// Usage counts tokens. Completion includes Reasoning, Prompt includes Cached.
type Usage struct{ Prompt, Cached, Completion, Reasoning int }

// Piece is a part of an answer as it comes: exactly one member is set. End is
// the whole answer, in the last piece.
type Piece struct {
	Reasoning string
	Content   string
	End       *Answer
}

// Chat answers a conversation.
func (m *Model) Chat(ctx context.Context, messages []Message, p Params) (*Answer, error) {
	return last(m.ChatStream(ctx, messages, p))
}

// ChatStream answers a conversation piece by piece. The first error ends it;
// leaving the loop ends the computation.
func (m *Model) ChatStream(ctx context.Context, messages []Message, p Params) iter.Seq2[Piece, error] {
	return m.answer(ctx, p, true, func(req *pipeline.Request) error {
		if p.Effort != "" && !slices.Contains(openai.Efforts, p.Effort) {
			return fmt.Errorf("reasond: Effort is %q, must be one of %s", p.Effort, strings.Join(openai.Efforts, ", "))
		}
		raw, err := json.Marshal(messages)
		if err != nil {
			return err
		}
		kwargs, err := rawKwargs(p.TemplateKwargs)
		if err != nil {
			return err
		}
		req.Think, req.Effort = p.Thinking, p.Effort
		req.Chat = llm.Chat{Messages: raw, Kwargs: kwargs, AddGenerationPrompt: true}
		return nil
	})
}

// Generate goes on from a prompt as it is. All of the text is the answer's
// Content, think tags included.
func (m *Model) Generate(ctx context.Context, prompt string, p Params) (*Answer, error) {
	return last(m.GenerateStream(ctx, prompt, p))
}

// GenerateStream is Generate piece by piece, as ChatStream.
func (m *Model) GenerateStream(ctx context.Context, prompt string, p Params) iter.Seq2[Piece, error] {
	return m.answer(ctx, p, false, func(req *pipeline.Request) error {
		if p.Thinking != nil || p.Effort != "" || p.TemplateKwargs != nil {
			return errors.New("reasond: Thinking, Effort and TemplateKwargs belong to a chat")
		}
		req.Prompt = &llm.Prompt{Text: prompt}
		return nil
	})
}

// errLeft says that the loop over the pieces was left.
var errLeft = errors.New("left")

func (m *Model) answer(ctx context.Context, p Params, separate bool, ask func(*pipeline.Request) error) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		req := m.request(p)
		req.SeparateReasoning = separate
		err := ask(req)
		if err == nil {
			err = m.run(ctx, req, yield)
		}
		if err != nil && !errors.Is(err, errLeft) {
			yield(Piece{}, err)
		}
	}
}

func (m *Model) run(ctx context.Context, req *pipeline.Request, yield func(Piece, error) bool) error {
	run, err := m.b.Start(ctx, req)
	if err != nil {
		return err
	}
	defer run.Close()
	var reasoning, content strings.Builder
	return run.Each(ctx, func(e llm.Event) error {
		var piece Piece
		switch e.Kind {
		case llm.EventReasoning:
			reasoning.WriteString(e.Text)
			piece.Reasoning = e.Text
		case llm.EventContent:
			content.WriteString(e.Text)
			piece.Content = e.Text
		case llm.EventFinish:
			piece.End = &Answer{
				Reasoning: reasoning.String(), Content: content.String(), FinishReason: string(e.Finish.Reason),
				Usage: Usage{e.Usage.Prompt, e.Usage.Cached, e.Usage.Completion, e.Usage.Reasoning},
			}
		}
		if !yield(piece, nil) {
			return errLeft
		}
		return nil
	})
}

// request is p over the model's defaults.
func (m *Model) request(p Params) *pipeline.Request {
	req := &pipeline.Request{N: 1, Sampling: m.b.Defaults, Seed: p.Seed, Stop: p.Stop, StreamReasoning: true}
	s := &req.Sampling
	s.MaxTokens = p.MaxTokens
	set(&s.Temperature, p.Temperature)
	set(&s.TopP, p.TopP)
	set(&s.TopK, p.TopK)
	set(&s.MinP, p.MinP)
	return req
}

func set[T any](dst, given *T) {
	if given != nil {
		*dst = *given
	}
}

// last is a stream's whole answer.
func last(pieces iter.Seq2[Piece, error]) (*Answer, error) {
	for piece, err := range pieces {
		if err != nil || piece.End != nil {
			return piece.End, err
		}
	}
	return nil, errors.New("reasond: the answer did not end")
}
