package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/guide"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/toolcall"
)

// Grammar is a structured output that a request asks for, and the field that
// does so.
type Grammar struct {
	grammar.Spec
	Field string
}

// GrammarKind says how a grammar's source is written.
type GrammarKind = grammar.Kind

// The kinds that requests know, see package grammar.
const (
	GrammarJSON       = grammar.JSON
	GrammarSchema     = grammar.Schema
	GrammarRegex      = grammar.Regex
	GrammarChoice     = grammar.Choice
	GrammarEBNF       = grammar.EBNF
	GrammarStructural = grammar.StructuralTag
)

// NewGrammar is a grammar that a field asks for.
func NewGrammar(kind GrammarKind, source, field string) *Grammar {
	return &Grammar{grammar.Spec{Kind: kind, Source: source}, field}
}

// Control bounds and steers the thought of a request.
type Control struct {
	Budget *int // most tokens of thought; nil: the server's default
	Grace  *int // see guide.Budget; nil: the server's
	// Reserve is how many of MaxTokens are the answer's.
	Reserve int
	// BreakLoops ends a thought that repeats itself.
	BreakLoops bool
	// Live lets Run.CloseThought end the thought.
	Live bool
	// Sampling changes the parameters that hold in the thought; nil: they are the
	// answer's.
	Sampling func(*llm.SamplingParams)
	// BudgetField is what the request calls the budget.
	BudgetField string
}

// Budgets are a server's bounds on thoughts.
type Budgets struct {
	Default *int // of requests that say nothing; nil: none
	Ceiling *int // that no request gets over; nil: none
	// BreakLoops ends every thought that repeats itself.
	BreakLoops bool
}

// grace is how many tokens before its budget a thought may end with a sentence.
const grace = 32

// Grammars compiles grammars for the model's vocabulary. *grammar.Compiler is one.
type Grammars interface {
	Compile(ctx context.Context, spec grammar.Spec) (grammar.Compiled, error)
}

// guides are what steers a request's choices; nil where nothing does.
type guides []*guide.Guide

func (g guides) of(choice int) llm.Guide { return g[choice] }

func (g guides) close() {
	for _, one := range g {
		if one != nil {
			one.Close()
		}
	}
}

// budget is the thought's bounds: the request's within the server's.
func (m *Model) budget(req *Request) guide.Budget {
	b := guide.Budget{Grace: grace, Reserve: req.Control.Reserve, Loops: req.Control.BreakLoops || m.Budgets.BreakLoops}
	limit := cmp.Or(req.Control.Budget, m.Budgets.Default)
	if c := m.Budgets.Ceiling; c != nil && (limit == nil || *limit > *c) {
		limit = c
	}
	if limit == nil {
		return b
	}
	b.Limited, b.Tokens = true, *limit
	b.Grace = min(b.Grace, b.Tokens/4)
	if req.Control.Grace != nil {
		b.Grace = *req.Control.Grace
	}
	return b
}

// steers reports whether the request needs guides, and the field that asks; none
// where what cannot be had is not missed.
func (m *Model) steers(req *Request, b guide.Budget) (field string, needed bool) {
	calls, held := m.callsHeld(req)
	if calls == "tools" { // strict functions
		calls = ""
	}
	switch c := req.Control; {
	case req.Grammar != nil:
		return req.Grammar.Field, true
	case req.ThoughtGrammar != nil:
		return req.ThoughtGrammar.Field, true
	case calls != "":
		return calls, true
	case m.Tokenizer != nil && !m.thinks(req):
		return "", held // the rest is about thoughts, and there is none
	case c.Budget != nil:
		return c.BudgetField, true
	case c.Reserve > 0:
		return "reserve_answer_tokens", true
	case c.Sampling != nil:
		return "reasoning", true
	case c.Live:
		return "reasoning_control", true
	case c.BreakLoops:
		return "break_reasoning_loops", true
	}
	return "", b.Limited || b.Loops || held
}

// thinks reports whether there may be a thought that can be told apart.
func (m *Model) thinks(req *Request) bool {
	return m.Parser != nil && m.Parser.End != "" && !req.NoParser
}

// guide makes the guides of a request. prompt is closed here where the budget
// leaves no room for the thought that it opens.
func (m *Model) guide(ctx context.Context, req *Request, prompt *prompted, sampling *llm.SamplingParams) (guides, error) {
	b := m.budget(req)
	field, needed := m.steers(req, b)
	if !needed {
		return nil, nil
	}
	if m.Tokenizer == nil || !m.Engine.Caps().Guides {
		if field == "" {
			return nil, nil // a server's default asks for nothing that cannot be had
		}
		return nil, llm.Errorf(llm.Unsupported, field, "%s: the server behind this one cannot be steered token by token", field)
	}
	base := guide.Config{Vocab: m.Tokenizer.Vocab(), EOS: m.EOS, Budget: b, MaxTokens: sampling.MaxTokens, Whole: m.wholeHeld(req)}
	if m.thinks(req) {
		end := m.Parser.End
		if base.Whole {
			end = m.Parser.Closes[0] // what follows is the grammar's
		}
		var err error
		if base.End, err = m.Tokenizer.Encode(end, nil); err != nil {
			return nil, err
		}
		if len(m.Parser.Opens) > 0 {
			if base.Open, err = m.Tokenizer.Encode(m.Parser.Opens[0], nil); err != nil {
				return nil, err
			}
		}
		base.Closes = m.Parser.Closes
		base.Thoughts = m.mayThink(req)
	}
	if err := m.checkControl(req, prompt, &base); err != nil {
		return nil, err
	}
	if m.thinks(req) {
		if base.Whole && prompt.open == reasoning.OpenYes {
			base.Said = base.Open
		}
		m.noRoom(prompt, &base)
		base.MaxTokens = min(base.MaxTokens, m.MaxContext-prompt.tokens)
		sampling.MaxTokens = base.MaxTokens
	}
	m.phases(req, prompt, &base, sampling)
	if err := m.Compile(ctx, req); err != nil {
		return nil, err
	}
	all := make(guides, req.N)
	for i := range all {
		c := base
		if m.thinks(req) {
			c.Parser, _ = m.Parser.New(m.start(req, prompt.open)).(reasoning.Stager)
		}
		var err error
		if c.Answer, err = matcher(req.compiled.content); err == nil {
			c.Thought, err = matcher(req.compiled.thought)
		}
		if err != nil {
			all.close()
			return nil, err
		}
		all[i] = guide.New(c, m.shared(req))
	}
	return all, nil
}

// mayThink is false where the request has switched thinking off.
func (m *Model) mayThink(req *Request) bool {
	on, given := m.wish(req).On()
	return on || !given
}

// noRoom closes in the prompt a thought that has no token to be written in: it
// has no budget, or all is reserved.
func (m *Model) noRoom(prompt *prompted, c *guide.Config) {
	none := c.Budget.Limited && c.Budget.Tokens == 0
	full := c.Budget.Reserve > 0 && c.MaxTokens <= c.Budget.Reserve+len(c.End)
	if prompt.open != reasoning.OpenYes || !none && !full || prompt.IDs == nil || prompt.tokens+len(c.End) >= m.MaxContext {
		return
	}
	prompt.IDs = append(slices.Clone(prompt.IDs), c.End...)
	prompt.tokens, prompt.open, prompt.spent = len(prompt.IDs), reasoning.OpenNo, true
	c.Thoughts = false
	if c.Whole {
		c.Said = append(slices.Clone(c.Said), c.End...)
	}
}

// phases gives thought and answer parameters of their own. Stop ids are the
// answer's, as stop strings are.
func (m *Model) phases(req *Request, prompt *prompted, c *guide.Config, sampling *llm.SamplingParams) {
	if !m.thinks(req) || req.Control.Sampling == nil && len(sampling.StopIDs) == 0 {
		return
	}
	answer, thought := *sampling, *sampling
	thought.StopIDs = nil
	if req.Control.Sampling != nil {
		req.Control.Sampling(&thought)
	}
	c.AnswerSampling, c.ThoughtSampling = &answer, &thought
	if prompt.open == reasoning.OpenYes {
		*sampling = thought
	}
}

func (m *Model) checkControl(req *Request, prompt *prompted, c *guide.Config) error {
	markers := 0 // of a thought that opens though there is no room for it
	if m.thinks(req) && prompt.open != reasoning.OpenYes {
		markers = len(c.Open) + len(c.End)
	}
	if r := c.Budget.Reserve; r > 0 && r+markers > c.MaxTokens {
		return llm.Errorf(llm.Invalid, "reserve_answer_tokens", "reserve_answer_tokens is %d, must be at most %d of the %d tokens that the choice may have", r, c.MaxTokens-markers, c.MaxTokens)
	}
	if req.ThoughtGrammar != nil && !m.thinks(req) {
		return llm.Errorf(llm.Invalid, req.ThoughtGrammar.Field, "%s: this model's answers have no thought that could be told apart", req.ThoughtGrammar.Field)
	}
	return nil
}

// compiled is a request's grammars, ready for use; nil where there is none.
type compiled struct{ content, thought grammar.Compiled }

// Compile makes the request's grammars ready. Start does so too; who bounds how
// many requests start at a time calls it before, for a grammar may take a second.
func (m *Model) Compile(ctx context.Context, req *Request) error {
	if req.compiled != nil || m.Tokenizer == nil || !m.Engine.Caps().Guides {
		return nil
	}
	content, thought, err := m.compile(ctx, req)
	if err == nil {
		req.compiled = &compiled{content, thought}
	}
	return err
}

// compile makes the request's grammars, within bounds and outside of the engine.
func (m *Model) compile(ctx context.Context, req *Request) (content, thought grammar.Compiled, err error) {
	spec := req.Grammar
	if field, held := m.callsHeld(req); held {
		if spec != nil {
			return nil, nil, llm.Errorf(llm.Invalid, spec.Field, "%s and a tool_choice that requires a call, or says which are allowed, exclude each other", spec.Field)
		}
		if spec, err = m.callGrammar(req, field); err != nil {
			return nil, nil, err
		}
	}
	if content, err = m.compileOne(ctx, spec); err != nil {
		return nil, nil, m.blame(ctx, req, spec, err)
	}
	thought, err = m.compileOne(ctx, req.ThoughtGrammar)
	return content, thought, err
}

// blame is the error of a grammar of calls, which names the function that is at
// fault where one is.
func (m *Model) blame(ctx context.Context, req *Request, spec *Grammar, err error) error {
	if spec.Kind != grammar.Lark || llm.KindOf(err) != llm.Invalid {
		return err
	}
	for i, f := range toolcall.Functions(req.Chat.Tools) {
		if len(f.Parameters) == 0 {
			continue
		}
		field := fmt.Sprintf("tools[%d].function.parameters", i)
		if _, wrong := m.compileOne(ctx, NewGrammar(GrammarSchema, string(f.Parameters), field)); wrong != nil {
			return wrong
		}
	}
	return err
}

func (m *Model) compileOne(ctx context.Context, g *Grammar) (grammar.Compiled, error) {
	if g == nil {
		return nil, nil
	}
	if m.Grammars == nil {
		return nil, llm.Errorf(llm.Unsupported, g.Field, "%s: grammars need the model's tokenizer", g.Field)
	}
	compiled, err := m.Grammars.Compile(ctx, g.Spec)
	switch {
	case err == nil:
		return compiled, nil
	case errors.Is(err, ctx.Err()):
		return nil, &llm.Error{Kind: llm.Cancelled, Message: "The request was cancelled.", Err: err}
	}
	return nil, llm.Errorf(llm.Invalid, g.Field, "%s: %s", g.Field, err)
}

func matcher(g grammar.Compiled) (guide.Matcher, error) {
	if g == nil {
		return nil, nil
	}
	m, err := g.Matcher()
	if err != nil {
		return nil, err
	}
	return m, nil
}

// shared is what the model's guides share, by parser.
func (m *Model) shared(req *Request) *guide.Shared {
	if !m.thinks(req) {
		return &m.guideSets.bare
	}
	sets := &m.guideSets
	sets.once.Do(func() { sets.thinking.Framed = m.Parser.Tools })
	return &sets.thinking
}

// guideSets are made at first use, by whichever request comes first.
type guideSets struct {
	bare, thinking guide.Shared
	once           sync.Once
}
