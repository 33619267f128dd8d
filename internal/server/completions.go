package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// completions is POST /v1/completions: prompts as they are go on as the text
// that the model writes. No thought is told apart in it, and stop strings match
// anywhere.
func (s *Server) completions(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	c, err := s.startCompletion(ctx, w, r)
	if err != nil {
		return err
	}
	defer c.end()
	if c.streamed {
		return c.stream()
	}
	return c.whole()
}

func (s *Server) startCompletion(ctx context.Context, w http.ResponseWriter, r *http.Request) (*completion, error) {
	wire, err := decoded(s, w, r, openai.DecodeCompletion)
	if err != nil {
		return nil, err
	}
	m, err := s.model(wire.Model)
	if err != nil {
		return nil, err
	}
	id := wire.RequestID
	if id == "" {
		id = rand.Text()
	}
	x := exchangeOf(r.Context())
	c, err := s.beginAll(ctx, x, "cmpl-"+id, m, completionRequests(m, wire, x.tenant), &wire.ChatRequest)
	if err != nil {
		return nil, err
	}
	c.shape = &textShape{id: c.id, model: c.model, created: c.created, counted: c.counted, places: make([]textPlace, c.n), frames: make([]*frame, c.n)}
	return &completion{c}, nil
}

// completionRequests are the requests of the prompts. All have the seed of the
// one that asked.
func completionRequests(m *pipeline.Model, wire *openai.CompletionRequest, tenant string) []*pipeline.Request {
	reqs := make([]*pipeline.Request, len(wire.Prompts))
	for i, p := range wire.Prompts {
		req := chatRequest(m, &wire.ChatRequest, tenant)
		req.Prompt = &llm.Prompt{Text: p.Text, IDs: p.IDs}
		req.BareText, req.NoParser, req.Echo = wire.BareText, true, wire.Echo
		req.UsualTokens = openai.UsualMaxTokens
		reqs[i] = req
	}
	return reqs
}

// atPrompt says at which of several prompts an error is.
func atPrompt(err error, i, n int) error {
	var e *llm.Error
	if n == 1 || !errors.As(err, &e) || e.Param != "prompt" {
		return err
	}
	at := *e
	at.Param = fmt.Sprintf("prompt[%d]", i)
	return &at
}

// completion is one accepted request on its way to an answer of either form.
type completion struct{ *chat }

// whole sends the answer in one piece.
func (c *completion) whole() error {
	replies, err := c.replies()
	if err != nil {
		return err
	}
	usage := wireUsage(c.usage)
	answer := openai.Completion{ID: c.id, Object: textObject, Created: c.created, Model: c.model, Usage: &usage}
	for i := range replies {
		r := &replies[i]
		reason, place := string(r.finish.Reason), textPlace{}
		answer.Choices = append(answer.Choices, openai.TextChoice{
			Index: i, Text: r.content.String(), FinishReason: &reason, MatchedStop: matchedStop(&r.finish),
			Logprobs: place.logprobs(r.logprobs), TokenIDs: r.ids,
			PromptTokenIDs: r.prompt.IDs, PromptLogprobs: wirePrompt(r.prompt.Logprobs),
		})
	}
	writeJSON(c.x.w, answer)
	return nil
}

const textObject = "text_completion"

// textShape is a completion's stream.
type textShape struct {
	id, model string
	created   int64
	counted   bool        // include_usage
	places    []textPlace // of each choice
	frames    []*frame    // of each choice's text
}

func (s *textShape) begin(int) []message { return nil }

func (s *textShape) end(u llm.Usage) []message {
	if !s.counted {
		return nameless(eventDone)
	}
	usage := wireUsage(u)
	return nameless(s.chunk(&usage, []openai.TextChoice{}), eventDone)
}

func (s *textShape) chunk(usage *openai.Usage, choices []openai.TextChoice) openai.Completion {
	return openai.Completion{ID: s.id, Object: textObject, Created: s.created, Model: s.model, Choices: choices, Usage: usage}
}

func (s *textShape) event(dst []message, e *llm.Event) []message {
	if onlyText(e) {
		return append(dst, message{frame: s.frame(e.Choice), text: e.Text})
	}
	choice := openai.TextChoice{Index: e.Choice, Text: e.Text, Logprobs: s.places[e.Choice].logprobs(e.Logprobs), TokenIDs: e.IDs}
	if e.Kind == llm.EventPrompt {
		choice.PromptTokenIDs = e.Prompt.IDs
	}
	if e.Kind == llm.EventFinish {
		reason := string(e.Finish.Reason)
		choice.FinishReason, choice.MatchedStop = &reason, matchedStop(e.Finish)
	}
	return append(dst, message{body: s.chunk(nil, []openai.TextChoice{choice})})
}

// frame is what stands around each text of a choice.
func (s *textShape) frame(choice int) *frame {
	f := &s.frames[choice]
	if *f == nil {
		*f = frameOf(func(text string) any { return s.chunk(nil, []openai.TextChoice{{Index: choice, Text: text}}) })
	}
	return *f
}
