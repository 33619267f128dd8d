package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/api/responses"
	"github.com/reasond/reasond/internal/llm"
)

// responsesDialect is that of the Responses API: events with names.
var responsesDialect = dialect{named: true, alive: openaiDialect.alive, fault: (*failure).body}

// errResponseCancelled ends a response by POST /v1/responses/{id}/cancel.
var errResponseCancelled = &llm.Error{Kind: llm.Cancelled, Message: "the response was cancelled"}

// createResponse is POST /v1/responses.
func (s *Server) createResponse(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	req, err := decoded(s, w, r, responses.Decode)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a, err := s.startResponse(ctx, exchangeOf(r.Context()), req)
	if err != nil {
		return err
	}
	defer a.chat.end()
	a.stored = s.responses.begin(a.x.tenant, a.writer.Response(), cancel)
	defer a.leave()
	if a.streamed {
		err = a.chat.stream()
	} else {
		err = a.whole()
	}
	if err != nil {
		err = a.cut(err)
	}
	return err
}

// startResponse takes a request to the engine.
func (s *Server) startResponse(ctx context.Context, x *exchange, req *responses.Request) (*responding, error) {
	var history []responses.Item
	if req.Previous != "" {
		var ok bool
		if history, ok = s.responses.conversation(x.tenant, req.Previous); !ok {
			return nil, &llm.Error{Kind: llm.NotFound, Code: "previous_response_not_found", Param: "previous_response_id", Message: "previous_response_id: there is no response with this id, or what it goes on from is gone"}
		}
	}
	err := req.Resolve(func(id string) (responses.Item, bool) { return s.responses.item(x.tenant, id) })
	if err != nil {
		return nil, err
	}
	wire, err := req.Chat(history)
	if err != nil {
		return nil, err
	}
	s.cfg.Reasoning.apply(wire)
	m, err := s.model(wire.Model)
	if err != nil {
		return nil, err
	}
	id, sampled := "resp_"+rand.Text(), sampling(m.Defaults, wire)
	var c *chat
	if req.Settings.Truncation == "auto" {
		c, err = s.beginTruncated(ctx, x, id, m, wire)
	} else {
		c, err = s.begin(ctx, x, id, m, chatRequest(m, wire, x.tenant), wire)
	}
	if err != nil {
		return nil, responsesError(err)
	}
	set := req.Settings
	set.Model, set.Temperature, set.TopP = c.model, known(sampled.Temperature), known(sampled.TopP)
	a := &responding{chat: c, store: s.responses, input: req.Input}
	a.writer = responses.NewWriter(responses.Response{ID: c.id, CreatedAt: c.created, Settings: set})
	c.shape = a
	return a, nil
}

// known is a parameter, unless it is left to an engine that does not tell it.
func known(x float64) *float64 {
	if math.IsNaN(x) {
		return nil
	}
	return &x
}

// responding is a response on its way; it is the shape of its stream.
type responding struct {
	*chat
	writer *responses.Writer
	input  []responses.Item
	store  *responseStore
	stored *runningResponse
	ended  bool
	untold bool   // nobody knows its id
	frame  *frame // around the pieces of a text
	framed string // the item that it is of

	finish  llm.FinishReason
	thought string // why it ended
}

func (a *responding) begin(int) []message { return namedEvents(nil, a.writer.Begin()) }

func (a *responding) event(dst []message, e *llm.Event) []message {
	events := a.take(e)
	if n := len(events); n > 0 && onlyText(e) {
		return append(namedEvents(dst, events[:n-1]), a.piece(&events[n-1]))
	}
	return namedEvents(dst, events)
}

// anyNumber stands for the sequence number in a frame.
const anyNumber = 8_402_713_556_190_214

// piece is a delta of a text, in the frame of its item's.
func (a *responding) piece(delta *responses.Event) message {
	if a.framed != delta.ItemID {
		a.framed, a.frame = delta.ItemID, markedFrameOf(strconv.Itoa(anyNumber), func(text string) any {
			e := *delta
			e.SequenceNumber, e.Delta = anyNumber, &text
			return e
		})
	}
	return message{name: delta.Type, frame: a.frame, mark: strconv.Itoa(delta.SequenceNumber), text: *delta.Delta}
}

func (a *responding) end(u llm.Usage) []message {
	status := responses.Completed
	if a.finish == llm.FinishLength {
		status = responses.Incomplete
	}
	return a.finishAs(status, nil, u)
}

func namedEvents(dst []message, events []responses.Event) []message {
	for i := range events {
		dst = append(dst, message{name: events[i].Type, body: &events[i]})
	}
	return dst
}

// take adds an event to the response. The last log-probabilities of a text may
// come with what follows it.
func (a *responding) take(e *llm.Event) []responses.Event {
	if e.Kind == llm.EventContent || e.Logprobs == nil {
		return a.one(e)
	}
	return append(a.writer.Content("", wireTokens(e.Logprobs)), a.one(e)...)
}

func (a *responding) one(e *llm.Event) []responses.Event {
	switch e.Kind {
	case llm.EventReasoning:
		return a.writer.Reasoning(e.Text)
	case llm.EventContent:
		var logprobs []openai.TokenLogprob
		if l := wireLogprobs(e.Logprobs); l != nil {
			logprobs = l.Content
		}
		return a.writer.Content(e.Text, logprobs)
	case llm.EventToolCall:
		var p struct {
			Index int `json:"index"`
			openai.ToolCall
		}
		if json.Unmarshal([]byte(e.Text), &p) == nil {
			return a.writer.Call(p.Index, p.ToolCall)
		}
	case llm.EventFinish:
		a.finish, a.thought = e.Finish.Reason, e.ThoughtStop
	}
	return nil
}

// whole sends the answer in one piece.
func (a *responding) whole() error {
	for {
		events, err := a.feed.next()
		if errors.Is(err, io.EOF) {
			a.end(a.usage)
			writeJSON(a.x.w, a.writer.Response())
			return nil
		}
		if err != nil {
			return err
		}
		for i := range events {
			e := &events[i]
			a.take(e)
			if e.Kind == llm.EventFinish {
				if err := a.finished(e); err != nil {
					return err
				}
			}
		}
	}
}

// finishAs ends the response. Who is told of the end finds it in the store.
func (a *responding) finishAs(status string, f *failure, u llm.Usage) []message {
	out := namedEvents(nil, a.writer.Close(status))
	ending := responses.Ending{Status: status, At: time.Now().Unix(), Usage: responseUsage(u), ReasoningStop: a.thought}
	if f != nil {
		e := a.writer.Error(f.code, f.param, f.message)
		out = append(out, message{name: e.Type, body: e})
		ending.Error = &responses.Error{Code: responseErrorCode(f.status), Message: f.message}
	}
	last := a.writer.End(ending)
	a.ended = true
	a.store.end(a.stored, *last.Response, a.input, !a.untold)
	return append(out, message{name: last.Type, body: last})
}

// cut ends a response that did not end by itself. What can be told in the form
// of the answer is told; the rest is returned.
func (a *responding) cut(err error) error {
	if a.ended { // it is the client who did not take the end
		return err
	}
	f := describe(err)
	u := a.run.Usage(0)
	a.untold = !a.x.w.wrote() && !errors.Is(err, errResponseCancelled)
	switch {
	case errors.Is(err, errResponseCancelled):
		out := a.finishAs(responses.Cancelled, nil, u)
		if !a.streamed {
			writeJSON(a.x.w, a.writer.Response())
			return nil
		}
		return a.lastWords(out)
	case f.status == statusClientClosed:
		a.finishAs(responses.Cancelled, nil, u)
		return err
	}
	out := a.finishAs(responses.Failed, f, u)
	if a.untold {
		return err
	}
	a.x.err, a.x.failed = err, f.status
	return a.lastWords(out)
}

// lastWords closes the stream, which may not have begun.
func (a *responding) lastWords(out []message) error {
	if err := a.open(); err != nil {
		return err
	}
	a.x.put(out...)
	return a.x.push(time.Now())
}

// leave sees to it that nothing stays registered, whatever happened.
func (a *responding) leave() {
	if !a.ended {
		a.finishAs(responses.Failed, &failure{status: http.StatusInternalServerError, message: "internal server error"}, a.usage)
	}
}

func responseUsage(u llm.Usage) *responses.Usage {
	return &responses.Usage{
		InputTokens: u.Prompt, OutputTokens: u.Completion, TotalTokens: u.Prompt + u.Completion,
		InputTokensDetails:  responses.InputDetails{CachedTokens: u.Cached},
		OutputTokensDetails: responses.OutputDetails{ReasoningTokens: u.Reasoning},
	}
}

// responseErrorCode is error.code of a failed response, out of OpenAI's list.
func responseErrorCode(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "rate_limit_exceeded"
	case status < 500:
		return "invalid_prompt"
	}
	return "server_error"
}
