package server

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/reasond/reasond/api/native"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// generate is POST /generate: a prompt as it is, or a chat, goes on as the raw
// text that the model writes. Stop strings are inert in reasoning here too.
func (s *Server) generate(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	g, err := s.startGenerate(ctx, w, r)
	if err != nil {
		return err
	}
	defer g.end()
	if g.streamed {
		return g.stream()
	}
	return g.whole()
}

func (s *Server) startGenerate(ctx context.Context, w http.ResponseWriter, r *http.Request) (*generation, error) {
	wire, err := decoded(s, w, r, native.DecodeGenerate)
	if err != nil {
		return nil, err
	}
	m, err := s.model(wire.Chat.Model)
	if err != nil {
		return nil, err
	}
	id := wire.Chat.RequestID
	if id == "" {
		id = rand.Text()
	}
	x := exchangeOf(r.Context())
	c, err := s.beginAll(ctx, x, id, m, generateRequests(m, wire, x.tenant), wire.Chat)
	if err != nil {
		return nil, nativeError(err, promptName(wire))
	}
	g := &generation{chat: c, many: wire.Many || c.n > 1, choices: make([]writing, c.n)}
	g.tops, g.texts, g.from = wire.Chat.TopLogprobs != nil && *wire.Chat.TopLogprobs > 0, wire.TokenTexts, wire.PromptFrom
	return g, nil
}

// generateRequests are the requests of the prompts, or of the chat.
func generateRequests(m *pipeline.Model, wire *native.GenerateRequest, tenant string) []*pipeline.Request {
	var reqs []*pipeline.Request
	add := func(p *llm.Prompt) {
		req := chatRequest(m, wire.Chat, tenant)
		req.Prompt, req.UsualTokens = p, native.UsualNewTokens
		req.TokenIDs = m.Tokenizer != nil && m.Engine.Caps().OutputIDs
		reqs = append(reqs, req)
	}
	for _, text := range wire.Texts {
		add(&llm.Prompt{Text: text})
	}
	for _, ids := range wire.IDs {
		add(&llm.Prompt{IDs: ids})
	}
	if reqs == nil {
		add(nil)
	}
	return reqs
}

// promptName is the member that a request's prompt stands in.
func promptName(wire *native.GenerateRequest) string {
	switch {
	case wire.Texts != nil:
		return "text"
	case wire.IDs != nil:
		return "input_ids"
	}
	return "messages"
}

// nativeError gives an error about a request its members' names: the prompt's,
// and those of sampling_params.
func nativeError(err error, prompt string) error {
	var e *llm.Error
	if !errors.As(err, &e) || e.Param == "" {
		return err
	}
	named := *e
	if place, ok := strings.CutPrefix(e.Param, "prompt"); ok {
		named.Param = prompt + place
	} else {
		named.Param = native.ParamName(e.Param)
	}
	return &named
}

// generation is one accepted /generate on its way to an answer of either form.
type generation struct {
	*chat
	many    bool // answered with an array
	choices []writing

	tops, texts bool // log-probabilities have alternatives; tokens' texts
	from        int  // the first token of the prompt that has one
}

// writing is one choice so far.
type writing struct {
	text   strings.Builder
	ids    []int32
	tokens []llm.TextLogprob
	prompt []llm.PromptTextLogprob
	usage  llm.Usage
	finish *llm.Finish
	news   bool // something came that was not sent
}

// take folds events into the choices.
func (g *generation) take(events []llm.Event) error {
	for i := range events {
		e := &events[i]
		c := &g.choices[e.Choice]
		c.ids, c.tokens = append(c.ids, e.IDs...), append(c.tokens, e.Logprobs...)
		if e.Kind == llm.EventPrompt {
			c.prompt = e.Prompt.Logprobs
			continue
		}
		if e.Kind != llm.EventFinish {
			c.text.WriteString(e.Text)
			c.usage, c.news = g.run.Usage(e.Choice), true
			continue
		}
		if err := g.finished(e); err != nil {
			return err
		}
		c.finish, c.usage, c.news = e.Finish, *e.Usage, true
	}
	return nil
}

// whole sends the answer in one piece: an object, or an array for several
// choices or prompts.
func (g *generation) whole() error {
	for {
		events, err := g.feed.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = g.take(events)
		}
		if err != nil {
			return err
		}
	}
	answers := make([]native.GenerateResponse, g.n)
	for i := range answers {
		answers[i] = g.response(i)
	}
	if g.many {
		writeJSON(g.x.w, answers)
	} else {
		writeJSON(g.x.w, answers[0])
	}
	return nil
}

// stream sends after each step what every choice that has grown has written so
// far, and [DONE] at the end.
func (g *generation) stream() error {
	for {
		events, err := g.feed.next()
		if errors.Is(err, io.EOF) {
			g.x.put(message{body: eventDone})
			return g.x.push(g.feed.last)
		}
		if err != nil {
			return err
		}
		failed := g.take(events)
		if err := g.send(len(events) == 0); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
	}
}

// send writes the choices that have news, or else, if that is wanted, a sign of
// life. The header goes out with the first of them, so that an error before it
// still has its status.
func (g *generation) send(alive bool) error {
	for i := range g.choices {
		if !g.choices[i].news {
			continue
		}
		g.choices[i].news = false
		answer := g.response(i)
		if g.many {
			answer.Index = &i
		}
		g.open()
		g.x.put(message{body: answer})
	}
	if alive {
		g.open()
		g.x.out = append(g.x.out, g.x.speaks().alive...)
	}
	if !g.x.w.wrote() {
		return nil
	}
	return g.x.push(g.feed.last)
}

func (g *generation) open() {
	if !g.x.w.wrote() {
		g.x.beginStream()
	}
}

// response is a choice as the wire has it.
func (g *generation) response(i int) native.GenerateResponse {
	c := &g.choices[i]
	meta := native.Meta{
		ID: g.id, PromptTokens: c.usage.Prompt, CompletionTokens: c.usage.Completion,
		CachedTokens: c.usage.Cached, ReasoningTokens: c.usage.Reasoning,
	}
	if c.finish != nil {
		meta.FinishReason = &native.FinishReason{Type: string(c.finish.Reason)}
		if c.finish.Reason == llm.FinishLength {
			meta.FinishReason.Length = c.usage.Completion
		} else {
			meta.FinishReason.Matched = matchedStop(c.finish)
		}
	}
	meta.OutputTokenLogprobs, meta.OutputTopLogprobs = g.logprobs(c.tokens)
	var prompt []llm.TextLogprob
	for _, p := range c.prompt[min(max(g.from, 0), len(c.prompt)):] {
		prompt = append(prompt, p.TextLogprob)
	}
	meta.InputTokenLogprobs, meta.InputTopLogprobs = g.logprobs(prompt)
	return native.GenerateResponse{Text: c.text.String(), OutputIDs: c.ids, Meta: meta}
}

// logprobs is what SGLang makes of tokens.
func (g *generation) logprobs(tokens []llm.TextLogprob) (own []native.TokenLogprob, tops [][]native.TokenLogprob) {
	for _, t := range tokens {
		own = append(own, g.logprob(t))
		if !g.tops {
			continue
		}
		var top []native.TokenLogprob // null for a prompt's first
		for _, likely := range t.Top {
			top = append(top, g.logprob(likely))
		}
		tops = append(tops, top)
	}
	return own, tops
}

func (g *generation) logprob(t llm.TextLogprob) native.TokenLogprob {
	p := native.TokenLogprob{nil, t.ID, nil}
	if t.Logprob == t.Logprob {
		p[0] = max(t.Logprob, leastLogprob)
	}
	if g.texts {
		p[2] = strings.ToValidUTF8(string(t.Bytes), "\uFFFD")
	}
	return p
}
