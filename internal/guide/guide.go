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
	"errors"
	"fmt"
	"strings"
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
	// Whole says that Answer's grammar is of all that the choice writes, thoughts
	// and markers included: its thoughts are free text, which End may end. Said are
	// tokens of it that the prompt ends with.
	Whole bool
	Said  []int32

	Budget    Budget
	MaxTokens int // of the choice
	// In a thought the first parameters hold, in the answer the second; nil: those
	// that the choice has.
	ThoughtSampling, AnswerSampling *llm.SamplingParams
}

// whitespaceTokens is how many tokens of white space before the answer are
// outside of its grammar.
const whitespaceTokens = 4

// Guide is an llm.Guide. CloseThought, Stop and Spaced may be called from any
// goroutine; Close too, also while another call runs.
type Guide struct {
	c      Config
	masks  *masks
	loops  loops
	spaced bool // white space before the answer is outside of its grammar

	stage    reasoning.Stage
	segments []reasoning.Segment
	tail     []byte   // the thought's last bytes, as long as a marker
	recent   []int32  // the thought's last tokens
	total    int      // tokens of the choice
	thought  int      // tokens of thought
	opened   bool     // there is, or was, a thought
	spaces   int      // tokens of white space before the answer
	started  bool     // the answer's grammar has taken a token
	ended    bool     // … and nothing may follow
	said     bool     // the answer has text, or a call
	marker   int      // forced tokens of a marker that are still to come
	closing  bool     // the thought's end was forced
	begun    marked   // a marker of several tokens that the model has begun
	own      []uint32 // maskWhole's: what a thought's own grammar allows
	unheld   error    // the grammar does not take what the prompt ends with

	now    atomic.Bool
	closed atomic.Bool
	stop   atomic.Pointer[Stop]
}

// marked is a marker.
type marked uint8

const (
	none marked = iota
	opens
	closes
)

// New makes the guide of one choice. Shared is what the guides of a model share.
func New(c Config, shared *Shared) *Guide {
	g := &Guide{c: c, masks: shared.masks(&c), stage: reasoning.InAnswer}
	if c.Parser != nil {
		g.stage = c.Parser.Stage()
	}
	g.opened = g.stage == reasoning.InReasoning
	g.spaced = c.Answer != nil && !c.Whole && (g.opened || c.Thoughts) && !g.beginsBlank()
	for _, id := range c.Said {
		if g.unheld = g.inWhole(id); g.unheld != nil {
			break
		}
	}
	return g
}

// beginsBlank reports whether a text of the answer's grammar may begin with
// white space, which then is never outside of it.
func (g *Guide) beginsBlank() bool {
	dst := make([]uint32, (g.c.Vocab.Size()+31)/32)
	return g.c.Answer.Mask(dst) == nil && g.masks.leading.meets(dst)
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

// Spaced reports whether white space before the answer is outside of its
// grammar, and so no part of the answer.
func (g *Guide) Spaced() bool { return g.spaced }

// Close frees the matchers. The choice is over: what other calls say from now on
// does not count.
func (g *Guide) Close() {
	g.closed.Store(true)
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
			return g.fail(fmt.Errorf("guide: token %d of %d: %w", i, len(ids), err))
		}
	}
	if g.ended { // what else the parameters might wait for, nothing may come
		return llm.Directive{End: llm.FinishStop}
	}
	d := llm.Directive{Sampling: g.sampling(before)}
	if d.Force = g.force(); d.Force == nil {
		forced, err := g.jump()
		if err != nil {
			return g.fail(fmt.Errorf("guide: %w", err))
		}
		d.Force = forced
	}
	return d
}

// fail ends the choice, unless it is over and its matchers are closed.
func (g *Guide) fail(err error) llm.Directive {
	if g.closed.Load() {
		return llm.Directive{}
	}
	return llm.Directive{End: llm.FinishError, Err: err}
}

// token follows one token through parser and grammars.
func (g *Guide) token(id int32) error {
	g.total++
	text := g.c.Vocab.Bytes(id)
	before, content := g.stage, string(text)
	if g.c.Parser != nil {
		g.segments = g.c.Parser.Feed(g.segments[:0], content)
		g.stage, content = g.c.Parser.Stage(), contentOf(g.segments)
	}
	g.said = g.said || g.stage == reasoning.InCall || strings.TrimSpace(content) != "" && !g.c.Vocab.IsControl(id)
	if err := g.inWhole(id); err != nil {
		return err
	}
	marker := g.marker > 0
	if marker {
		g.marker--
	}
	switch {
	case g.stage == reasoning.InReasoning:
		return g.inThought(id, text, before, marker)
	case before == reasoning.InReasoning:
		g.settle(Natural)
		g.closing, g.spaces, g.tail, g.recent = false, 0, g.tail[:0], g.recent[:0]
	case marker, g.c.Whole:
	case g.stage == reasoning.InAnswer && (before == reasoning.InAnswer || content != ""):
		return g.inAnswer(id, text)
	case g.stage == reasoning.Undecided && !g.masks.framed:
		return g.inAnswer(id, text) // the mask lets pass what is the grammar's, or begins a thought
	}
	return nil
}

// contentOf is the text of the answer in segments.
func contentOf(all []reasoning.Segment) (text string) {
	for _, s := range all {
		if s.Kind == reasoning.Content && s.Start < s.End {
			text += s.Text
		}
	}
	return text
}

func (g *Guide) inThought(id int32, text []byte, before reasoning.Stage, marker bool) error {
	g.opened = true
	if before != reasoning.InReasoning {
		return nil // the marker
	}
	g.tail = last(append(g.tail, text...), maxMarker)
	g.recent = last(append(g.recent, id), maxMarker)
	g.thought++
	if g.c.Budget.Loops {
		g.loops.add(id)
	}
	if g.c.Thought == nil || marker {
		return nil
	}
	taken, _, _, err := g.c.Thought.Take([]int32{id})
	if err == nil && taken == 0 && len(g.c.End) > 1 && id == g.c.End[0] {
		g.begun = closes
		return nil
	}
	return fitted(taken, err)
}

// last is what s ends with, at most n.
func last[T any](s []T, n int) []T {
	if over := len(s) - n; over > 0 {
		s = append(s[:0], s[over:]...)
	}
	return s
}

// maxMarker is longer than any marker that ends a thought.
const maxMarker = 64

// fitted is the error of a token that a grammar does not take.
func fitted(taken int, err error) error {
	if err == nil && taken == 0 {
		err = errors.New("it is not of the grammar")
	}
	return err
}

// inWhole follows the grammar of all that the choice writes.
func (g *Guide) inWhole(id int32) error {
	if !g.c.Whole || g.ended || g.unheld != nil {
		return g.unheld
	}
	taken, stopped, _, err := g.c.Answer.Take([]int32{id})
	g.started, g.ended = true, stopped
	return fitted(taken, err)
}

// inAnswer follows the answer's grammar.
func (g *Guide) inAnswer(id int32, text []byte) error {
	if g.c.Answer == nil || g.ended {
		return nil
	}
	if g.outside() && blank(text) {
		g.spaces++
		return nil
	}
	taken, stopped, _, err := g.c.Answer.Take([]int32{id})
	if err == nil && taken == 0 && g.opensThought(id) {
		g.begun = opens
		return nil
	}
	g.started, g.ended = true, stopped
	return fitted(taken, err)
}

// outside: white space before the answer may still come.
func (g *Guide) outside() bool { return g.spaced && !g.started && g.spaces < whitespaceTokens }

// opensThought: the token begins a marker that opens a thought, and may.
func (g *Guide) opensThought(id int32) bool {
	return g.mayOpen() && len(g.c.Open) > 1 && id == g.c.Open[0]
}

// mayOpen: a thought may open.
func (g *Guide) mayOpen() bool {
	return g.stage == reasoning.Undecided && g.c.Thoughts && !g.opened && !g.started && len(g.c.Open) > 0 && g.roomToOpen()
}

// Space is what counts as white space before an answer.
const Space = " \t\r\n"

func blank(text []byte) bool { return len(text) > 0 && len(bytes.TrimLeft(text, Space)) == 0 }

// sampling is the parameters of a phase that has just begun.
func (g *Guide) sampling(before reasoning.Stage) *llm.SamplingParams {
	switch {
	case g.stage == before:
		return nil
	case g.stage == reasoning.InAnswer, g.stage == reasoning.InCall:
		return g.c.AnswerSampling
	}
	return g.c.ThoughtSampling
}

// jump is what a grammar leaves no choice about; in a thought no more than it
// may still have.
func (g *Guide) jump() ([]int32, error) {
	switch {
	case g.c.Whole && g.stage != reasoning.InReasoning,
		g.stage == reasoning.InAnswer && g.c.Answer != nil && !g.outside():
		return g.c.Answer.Forced()
	case g.stage == reasoning.InReasoning && g.c.Thought != nil && !g.closing:
		ids, err := g.c.Thought.Forced()
		return ids[:min(len(ids), g.room())], err
	}
	return nil, nil
}
