// Package guide is the control of one choice, token by token: grammars for the
// thought and for the answer, the thought's budget, per-phase sampling, forced
// tokens. A Guide owns a second instance of the choice's reasoning parser, fed
// with the tokens' bytes, so that the phase in text and the phase in tokens are
// one function. It is an llm.Guide; pipeline builds one only for a choice that
// needs it. Logits are never changed: what may not come is masked, what must
// come is forced.
package guide

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/llm"
)

// Vocab is the model's vocabulary as a guide sees it.
type Vocab interface {
	Size() int
	Bytes(id int32) []byte
	IsControl(id int32) bool
}

// Matcher follows a text through a grammar. *native.Matcher is one.
type Matcher interface {
	// Mask writes what may come next; the tokens that end a text where nothing
	// else may.
	Mask(dst []uint32) error
	// Take takes tokens and says how many fitted, whether nothing may follow, and
	// whether the text may end.
	Take(ids []int32) (taken int, stopped, accepting bool, err error)
	// Forced is what must come next; none where there is a choice.
	Forced() ([]int32, error)
	Close()
}

// Config says what one choice needs. The zero value of a field asks for nothing.
type Config struct {
	Vocab  Vocab
	EOS    []int32          // tokens that end a text
	Parser reasoning.Stager // the guide's own; nil: all is answer
	// Thoughts says that a thought may open though the prompt opened none.
	Thoughts bool
	// Open and End are the tokens that open a thought and that end one and begin
	// the answer; Closes the markers that may end one.
	Open, End []int32
	Closes    []string

	Thought, Answer Matcher
	Budget          Budget
	MaxTokens       int // of the choice
	// In a thought the first parameters hold, in the answer the second; nil: those
	// that the choice has.
	ThoughtSampling, AnswerSampling *llm.SamplingParams
}

// Budget bounds a thought.
type Budget struct {
	Limited bool
	Tokens  int // at most so many tokens of thought, where Limited
	// Grace is how many tokens before that the thought ends with the first token
	// that ends a sentence or a line.
	Grace   int
	Reserve int  // tokens of MaxTokens that are the answer's
	Loops   bool // a thought that repeats itself is ended
}

// Stop says why a thought ended.
type Stop string

const (
	Natural Stop = "natural" // the model closed it
	Spent   Stop = "budget"
	Loop    Stop = "loop"
	Client  Stop = "client" // answer_now
	Length  Stop = "length" // of max_tokens only what is reserved was left
)

// whitespaceTokens is how many tokens of white space right behind a thought are
// outside of the answer's grammar.
const whitespaceTokens = 4

// Guide is an llm.Guide. CloseThought and Stop may be called from any goroutine.
type Guide struct {
	c     Config
	masks *masks
	loops loops

	stage   reasoning.Stage
	tail    []byte // the thought's last bytes, as long as a marker
	total   int    // tokens of the choice
	thought int    // tokens of thought
	opened  bool   // there is, or was, a thought
	spaces  int    // tokens of white space behind the thought
	started bool   // the answer's grammar has taken a token
	ended   bool   // … and nothing may follow
	closing bool   // the close is forced
	half    bool   // the model wrote the first token of a close that has more

	now  atomic.Bool
	stop atomic.Pointer[Stop]
}

// New makes the guide of one choice. Shared is what the guides of a model share.
func New(c Config, shared *Shared) *Guide {
	g := &Guide{c: c, masks: shared.masks(&c), stage: reasoning.InAnswer}
	if c.Parser != nil {
		g.stage = c.Parser.Stage()
	}
	g.opened = g.stage == reasoning.InReasoning
	return g
}

// CloseThought ends an open thought with the next token.
func (g *Guide) CloseThought() { g.now.Store(true) }

// Stop is why the thought ended; "" where there was none, or it goes on.
func (g *Guide) Stop() Stop {
	if s := g.stop.Load(); s != nil {
		return *s
	}
	return ""
}

// Close frees the matchers. Calls that come later restrict nothing.
func (g *Guide) Close() {
	for _, m := range []Matcher{g.c.Thought, g.c.Answer} {
		if m != nil {
			m.Close()
		}
	}
}

// Accept implements llm.Guide.
func (g *Guide) Accept(ids []int32) llm.Directive {
	before := g.stage
	for i, id := range ids {
		if err := g.token(id); err != nil {
			return llm.Directive{End: llm.FinishError, Err: fmt.Errorf("guide: token %d of %d: %w", i, len(ids), err)}
		}
	}
	d := llm.Directive{Sampling: g.sampling(before)}
	if d.Force = g.force(); d.Force == nil {
		forced, err := g.jump()
		if err != nil {
			return llm.Directive{End: llm.FinishError, Err: fmt.Errorf("guide: %w", err)}
		}
		d.Force = forced
	}
	return d
}

// token follows one token through parser and grammars.
func (g *Guide) token(id int32) error {
	g.total++
	text := g.c.Vocab.Bytes(id)
	before := g.stage
	if g.c.Parser != nil {
		g.c.Parser.Feed(nil, string(text))
		g.stage = g.c.Parser.Stage()
	}
	switch {
	case g.stage == reasoning.InReasoning:
		return g.inThought(id, text, before)
	case before == reasoning.InReasoning:
		g.closed()
		return nil
	case g.stage == reasoning.InAnswer:
		return g.inAnswer(id, text)
	case !g.masks.framed && !blank(text) && !(len(g.c.Open) == 1 && id == g.c.Open[0]):
		return g.inAnswer(id, text) // it may yet become a marker: the mask has let it pass as the grammar's
	}
	return nil
}

func (g *Guide) inThought(id int32, text []byte, before reasoning.Stage) error {
	g.opened = true
	if g.tail = append(g.tail, text...); len(g.tail) > maxMarker {
		g.tail = append(g.tail[:0], g.tail[len(g.tail)-maxMarker:]...)
	}
	if before != reasoning.InReasoning {
		return nil // the marker
	}
	g.thought++
	if g.c.Budget.Loops {
		g.loops.add(id)
	}
	switch {
	case g.c.Thought == nil || g.closing:
	case len(g.c.End) > 1 && id == g.c.End[0]:
		g.half = true // the model ends its thought: the marker's rest follows
	default:
		if taken, _, _, err := g.c.Thought.Take([]int32{id}); err != nil || taken == 0 {
			return grammarLost(err)
		}
	}
	return nil
}

func grammarLost(err error) error {
	if err == nil {
		err = fmt.Errorf("it is not of the grammar")
	}
	return err
}

// maxMarker is longer than any marker that ends a thought.
const maxMarker = 64

// closed: the token just taken ended the thought.
func (g *Guide) closed() {
	g.settle(Natural)
	g.closing, g.half, g.spaces, g.tail = false, false, 0, g.tail[:0]
}

// settle notes why the thought ended; of several reasons the first counts.
func (g *Guide) settle(s Stop) { g.stop.CompareAndSwap(nil, &s) }

// inAnswer follows the answer's grammar.
func (g *Guide) inAnswer(id int32, text []byte) error {
	if g.c.Answer == nil || g.ended {
		return nil
	}
	if g.outside(text) {
		g.spaces++
		return nil
	}
	g.started = true
	taken, stopped, _, err := g.c.Answer.Take([]int32{id})
	if err != nil || taken == 0 {
		return grammarLost(err)
	}
	g.ended = stopped
	return nil
}

// outside: white space between thought and answer is not the grammar's.
func (g *Guide) outside(text []byte) bool {
	return g.opened && !g.started && g.spaces < whitespaceTokens && blank(text)
}

func blank(text []byte) bool { return len(text) > 0 && len(bytes.TrimSpace(text)) == 0 }

// sampling is the parameters of a phase that has just begun.
func (g *Guide) sampling(before reasoning.Stage) *llm.SamplingParams {
	switch {
	case g.stage == before:
		return nil
	case g.stage == reasoning.InAnswer:
		return g.c.AnswerSampling
	}
	return g.c.ThoughtSampling
}

// force is the thought's end where it has to end now.
func (g *Guide) force() []int32 {
	if g.stage != reasoning.InReasoning || g.closing || len(g.c.End) == 0 {
		return nil
	}
	if g.half {
		g.closing = true
		return g.c.End[1:]
	}
	s := g.due()
	if s == "" {
		return nil
	}
	g.settle(s)
	g.closing = true
	return g.c.End
}

// due is why the thought has to end now; "" where it may go on.
func (g *Guide) due() Stop {
	b := g.c.Budget
	switch {
	case g.now.Load():
		return Client
	case b.Limited && g.thought >= b.Tokens:
		return Spent
	case b.Limited && g.thought >= b.Tokens-b.Grace && endsSentence(g.tail):
		return Spent
	case b.Reserve > 0 && g.c.MaxTokens > 0 && g.total+len(g.c.End)+b.Reserve >= g.c.MaxTokens:
		return Length
	case b.Loops && g.loops.found:
		return Loop
	}
	return ""
}

// endsSentence reports whether text ends a sentence or a line.
func endsSentence(text []byte) bool {
	if bytes.HasSuffix(text, []byte("\n")) {
		return true
	}
	trimmed := bytes.TrimRight(text, " \"')”’")
	for _, end := range []string{".", "!", "?", "。", "！", "？", ";", "；"} {
		if bytes.HasSuffix(trimmed, []byte(end)) {
			return true
		}
	}
	return false
}

// jump is what the grammar leaves no choice about. The rest of a marker that
// the model began where a grammar stood beside it is forced too.
func (g *Guide) jump() ([]int32, error) {
	switch {
	case g.stage == reasoning.InAnswer && g.c.Answer != nil && !g.ended && (g.started || !g.opened):
		return g.c.Answer.Forced()
	case g.stage == reasoning.InReasoning && g.c.Thought != nil && !g.closing:
		return g.c.Thought.Forced()
	}
	return nil, nil
}

// Mask implements llm.Guide.
func (g *Guide) Mask(dst []uint32) bool {
	switch g.stage {
	case reasoning.InReasoning:
		return g.maskThought(dst)
	case reasoning.InAnswer:
		return g.maskAnswer(dst)
	}
	return g.maskUndecided(dst)
}

func (g *Guide) maskAnswer(dst []uint32) bool {
	if g.c.Answer == nil {
		return false
	}
	if g.c.Answer.Mask(dst) != nil {
		return false // closed: the choice is over
	}
	if g.opened && !g.started && g.spaces < whitespaceTokens {
		g.masks.blank.into(dst)
	}
	return true
}

// maskThought keeps a thought to its grammar, and where the answer has one keeps
// the thought's end clear of it.
func (g *Guide) maskThought(dst []uint32) bool {
	if g.c.Thought == nil && g.c.Answer == nil && g.c.Budget.Reserve == 0 {
		return false
	}
	if g.c.Thought == nil {
		fill(dst, g.c.Vocab.Size())
	} else {
		_, _, accepting, err := g.c.Thought.Take(nil)
		if err != nil || g.c.Thought.Mask(dst) != nil {
			return false
		}
		if accepting && len(g.c.End) > 0 {
			allow(dst, g.c.End[0])
		}
	}
	for _, id := range g.c.EOS {
		forbid(dst, id)
	}
	for _, id := range g.masks.straddling {
		if g.straddles(id) {
			forbid(dst, id)
		}
	}
	return true
}

// straddles: the token would end the thought and begin the answer at once.
func (g *Guide) straddles(id int32) bool {
	text := append(bytes.Clone(g.tail), g.c.Vocab.Bytes(id)...)
	for _, marker := range g.c.Closes {
		if i := bytes.LastIndex(text, []byte(marker)); i >= 0 && i+len(marker) > len(g.tail) &&
			len(bytes.TrimSpace(text[i+len(marker):])) > 0 {
			return true
		}
	}
	return false
}

// maskUndecided: the answer begins as its grammar says, or a thought opens.
func (g *Guide) maskUndecided(dst []uint32) bool {
	if g.c.Answer == nil || g.masks.framed {
		return false // in a frame's header anything may stand
	}
	if g.c.Answer.Mask(dst) != nil {
		return false
	}
	if g.c.Thoughts && len(g.c.Open) == 1 {
		allow(dst, g.c.Open[0])
		g.masks.blank.into(dst)
	}
	return true
}
