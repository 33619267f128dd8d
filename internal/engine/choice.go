package engine

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/draft"
	"github.com/reasond/reasond/internal/engine/sched"
	"github.com/reasond/reasond/internal/llm"
)

// request is an accepted request on the loop's side.
type request struct {
	stream   *stream
	prompt   []int32
	priority int
	scope    []string
	limit    int    // most tokens of a choice, prompt included
	arrival  uint64 // the loop's count of requests
	begun    bool   // a row of it was in a step
	accepted time.Time
	open     int // choices that have not ended
	choices  []choice
	scores   *scores // of the prompt's tokens; nil: nobody asked
}

// choice is one of a request's answers.
type choice struct {
	req    *request
	index  int
	seq    *sched.Seq // nil until the loop has added the request
	params llm.SamplingParams
	guide  llm.Guide
	source draft.Source // guesses its next tokens; nil: nothing was guessed yet
	trust  draft.Trust  // in a draft model's guesses; 0: that of all choices
	rebind bool         // the device's sampling state is out of date
	first  mark         // when its first token came
	begun  bool         // it came
	ended  bool
}

// newRequest runs in the client's goroutine; guides are built here.
func newRequest(e *Engine, req *llm.Request, limit int) (r *request, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &llm.Error{Kind: llm.Internal, Message: "The engine failed on this request.", Err: fmt.Errorf("engine: panic in building a guide: %v", p)}
		}
	}()
	r = &request{prompt: slices.Clone(req.Prompt.IDs), priority: req.Priority, limit: limit, open: req.N,
		scope: []string{e.cfg.Model, req.Tenant, req.Salt}, accepted: time.Now(), choices: make([]choice, req.N)}
	if e.cfg.NoPrefixCache || req.PromptLogprobs != nil {
		r.scope = append(r.scope, strconv.FormatUint(e.serial.Add(1), 10))
	}
	if req.PromptLogprobs != nil {
		r.scores = newScores(len(r.prompt), *req.PromptLogprobs)
	}
	r.stream = newStream(req.N, func(kind messageKind, choice int) {
		e.inbox.post(message{kind: kind, req: r, choice: choice})
	})
	for i := range r.choices {
		r.choices[i] = choice{req: r, index: i, params: req.Sampling}
		if req.Guide != nil {
			r.choices[i].guide = req.Guide(i)
		}
	}
	return r, nil
}

// slot is the choice's sampling state for the device. Tokens are append-only,
// so the device's goroutine may read them while the loop goes on.
func (c *choice) slot(eos []int32) backend.Slot {
	generated := c.seq.Generated()
	return backend.Slot{Params: c.params, Choice: c.index, Prompt: c.seq.Prompt(),
		Generated: generated[:len(generated):len(generated)], EOS: eos}
}

// deliver sends tokens that the sequence has just got to the stream, up to the
// first that ends the choice, and reports whether one did.
func (e *Engine) deliver(c *choice, ids []int32, logprobs []llm.Logprobs) bool {
	before := len(c.seq.Generated()) - len(ids)
	for i, id := range ids {
		f, ends := e.ends(c, id, before+i+1)
		if !ends {
			continue
		}
		if logprobs != nil {
			logprobs = logprobs[:i+1]
		}
		c.req.stream.push(c.index, ids[:i+1], logprobs)
		e.finish(c, f)
		return true
	}
	c.req.stream.push(c.index, ids, logprobs)
	return false
}

// ends says whether id, the n-th generated token, is the choice's last:
//
//  1. an EOS token, unless ignored, or a stop id, but neither before min_tokens;
//  2. the last one of max_tokens or of the context.
func (e *Engine) ends(c *choice, id int32, n int) (llm.Finish, bool) {
	if n > c.params.MinTokens && (!c.params.IgnoreEOS && slices.Contains(e.cfg.EOS, id) || slices.Contains(c.params.StopIDs, id)) { // 1
		return llm.Finish{Reason: llm.FinishStop, StopID: id}, true
	}
	if n >= c.params.MaxTokens || len(c.req.prompt)+n >= c.req.limit { // 2
		return llm.Finish{Reason: llm.FinishLength, StopID: -1}, true
	}
	return llm.Finish{}, false
}

// guideOn tells the guide of new tokens and does what it says. The guide sees
// every generated token once, in order, the ones that it forced included.
func (e *Engine) guideOn(c *choice, ids []int32) {
	for len(ids) > 0 {
		d, err := accept(c.guide, ids)
		if err != nil {
			e.fail(c, err)
			return
		}
		if d.Sampling != nil {
			c.params, c.rebind = *d.Sampling, true
		}
		if d.Err != nil {
			e.fail(c, d.Err)
			return
		}
		if d.End != "" {
			e.finish(c, llm.Finish{Reason: d.End, StopID: -1})
			return
		}
		if len(d.Force) == 0 {
			return
		}
		// The sequence cannot grow over its limit; deliver ends it there.
		ids = slices.Clone(d.Force[:min(len(d.Force), c.req.limit-len(c.seq.Tokens()))])
		if err := checkIDs("", ids, e.info.Vocab); err != nil {
			e.fail(c, fmt.Errorf("engine: a guide forces a token: %w", err))
			return
		}
		e.sched.Extend(c.seq, ids)
		c.rebind = true
		if e.deliver(c, ids, forcedLogprobs(c, ids)) {
			return
		}
	}
}

func accept(g llm.Guide, ids []int32) (d llm.Directive, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("engine: panic in a guide: %v", p)
		}
	}()
	return g.Accept(ids), nil
}

// forcedLogprobs: a forced token has probability 1.
func forcedLogprobs(c *choice, ids []int32) []llm.Logprobs {
	if !c.params.Logprobs {
		return nil
	}
	lps := make([]llm.Logprobs, len(ids))
	for i, id := range ids {
		lps[i].ID = id
	}
	return lps
}

// fail ends a choice for a fault of ours.
func (e *Engine) fail(c *choice, err error) {
	e.finish(c, llm.Finish{Reason: llm.FinishError, StopID: -1,
		Err: &llm.Error{Kind: llm.Internal, Message: "The engine failed on this request.", Err: err}})
}

// finish ends a choice at any stage; of several calls the first counts.
func (e *Engine) finish(c *choice, f llm.Finish) {
	if c.ended {
		return
	}
	c.ended, c.source = true, nil
	if c.begun {
		e.gaps.leave(c.first)
	}
	if c.seq != nil {
		e.sched.Finish(c.seq)
	}
	c.req.stream.finish(c.index, f)
	r := c.req
	if r.open--; r.open == 0 {
		delete(e.requests, r)
		e.live.Add(-1)
		e.counts.served(time.Since(r.accepted).Seconds(), &e.mu)
	}
}

// abort ends all of a request's choices.
func (e *Engine) abort(r *request, err error) {
	for i := range r.choices {
		e.finish(&r.choices[i], llm.Finish{Reason: llm.FinishAbort, StopID: -1, Err: err})
	}
}
