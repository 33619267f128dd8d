package server

import (
	"errors"
	"io"
	"log/slog"
	"strings"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/metrics"
)

// chat is one accepted request on its way to an answer of either form.
type chat struct {
	feed     feed
	x        *exchange
	shape    shape
	messages []message // of the event at hand
	n        int       // choices
	each     int       // of these, to one prompt
	streamed bool
	counted  bool // include_usage
	field    Field
	run      source
	observed *metrics.Generation
	usage    llm.Usage // of the choices that have ended

	id, model string
	created   int64
	forget    func() // the id is not live any more
}

// end gives the slot back, whatever happened.
func (c *chat) end() {
	c.forget()
	c.run.Close()
	c.feed.close()
	c.usage.Prompt = c.run.PromptTokens()
	c.observed.End(c.usage)
	c.x.note(slog.Int("prompt_tokens", c.usage.Prompt), slog.Int("completion_tokens", c.usage.Completion))
}

// finished takes a choice's end into account.
func (c *chat) finished(e *llm.Event) error {
	if u := e.Usage; u != nil {
		// Choices share a prompt; the first of them says how much of it was cached.
		if c.usage.Prompt = c.run.PromptTokens(); e.Choice%c.each == 0 {
			c.usage.Cached += u.Cached
		}
		c.usage.Completion += u.Completion
		c.usage.Reasoning += u.Reasoning
	}
	return c.feed.finishError(e.Finish)
}

func wireUsage(u llm.Usage) openai.Usage {
	return openai.Usage{
		PromptTokens: u.Prompt, CompletionTokens: u.Completion, TotalTokens: u.Prompt + u.Completion,
		PromptTokensDetails:     openai.PromptDetails{CachedTokens: u.Cached},
		CompletionTokensDetails: openai.CompletionDetails{ReasoningTokens: u.Reasoning},
	}
}

func matchedStop(f *llm.Finish) *openai.MatchedStop {
	switch {
	case f.StopText != "":
		return &openai.MatchedStop{Text: f.StopText}
	case f.StopID >= 0 && f.Reason == llm.FinishStop:
		return &openai.MatchedStop{ID: f.StopID}
	}
	return nil
}

// reply is one choice while its events are folded.
type reply struct {
	reasoning, content strings.Builder
	finish             llm.Finish
	calls              []openai.ToolCall
	logprobs           []llm.TextLogprob
	thoughtLogprobs    []llm.TextLogprob
	ids                []int32
	prompt             llm.Prompted
	thought            bool   // it reasoned, shown or not
	thoughtStop        string // why that ended
}

// whole sends the answer in one piece.
func (c *chat) whole() error {
	answer, err := c.answer()
	if err == nil {
		writeJSON(c.x.w, answer)
	}
	return err
}

// answer is a chat's.
func (c *chat) answer() (*openai.ChatCompletion, error) {
	replies, err := c.replies()
	if err != nil {
		return nil, err
	}
	answer := &openai.ChatCompletion{ID: c.id, Object: "chat.completion", Created: c.created, Model: c.model, Usage: wireUsage(c.usage)}
	for i := range replies {
		answer.Choices = append(answer.Choices, replies[i].choice(i, c.field))
	}
	answer.PromptLogprobs, answer.PromptTokenIDs = wirePrompt(replies[0].prompt.Logprobs), replies[0].prompt.IDs
	return answer, nil
}

// replies folds the events of all choices.
func (c *chat) replies() ([]reply, error) {
	replies := make([]reply, c.n)
	for {
		events, err := c.feed.next()
		if errors.Is(err, io.EOF) {
			return replies, nil
		}
		if err != nil {
			return nil, err
		}
		for i := range events {
			e := &events[i]
			if err := c.fold(&replies[e.Choice], e); err != nil {
				return nil, err
			}
		}
	}
}

func (c *chat) fold(r *reply, e *llm.Event) error {
	r.logprobs, r.thoughtLogprobs = append(r.logprobs, e.Logprobs...), append(r.thoughtLogprobs, e.ThoughtLogprobs...)
	r.ids = append(r.ids, e.IDs...)
	switch e.Kind {
	case llm.EventPrompt:
		r.prompt = *e.Prompt
		r.content.WriteString(e.Text)
	case llm.EventReasoning:
		r.reasoning.WriteString(e.Text)
	case llm.EventContent:
		r.content.WriteString(e.Text)
	case llm.EventToolCall:
		var err error
		r.calls, err = addCall(r.calls, e.Text)
		return err
	case llm.EventFinish:
		r.finish, r.thoughtStop = *e.Finish, e.ThoughtStop
		r.thought = e.Usage != nil && e.Usage.Reasoning > 0
		return c.finished(e)
	}
	return nil
}

// choice is the reply as the wire has it: content is null where there is only
// reasoning.
func (r *reply) choice(i int, field Field) openai.Choice {
	message := openai.ReplyMessage{Role: "assistant", ToolCalls: r.calls}
	if text := r.reasoning.String(); text != "" {
		message.ReasoningContent, message.Reasoning = field.texts(&text)
	}
	if text := r.content.String(); text != "" || !r.thought && r.reasoning.Len() == 0 && r.calls == nil {
		message.Content = &text
	}
	return openai.Choice{Index: i, Message: message, Logprobs: wireLogprobs(r.logprobs), FinishReason: string(r.finish.Reason), MatchedStop: matchedStop(&r.finish), ReasoningStop: r.thoughtStop,
		ReasoningLogprobs: wireThought(r.thoughtLogprobs), TokenIDs: r.ids}
}
