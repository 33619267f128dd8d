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
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

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
	tail     []byte  // the thought's last bytes, as long as a marker
	recent   []int32 // the thought's last tokens
	total    int     // tokens of the choice
	thought  int     // tokens of thought
	opened   bool    // there is, or was, a thought
	spaces   int     // tokens of white space before the answer
	started  bool    // the answer's grammar has taken a token
	ended    bool    // … and nothing may follow
	said     bool    // the answer has text, or a call
	marker   int     // forced tokens of a marker that are still to come
	closing  bool    // the thought's end was forced
	begun    marked  // a marker of several tokens that the model has begun
	unheld   error   // the grammar does not take what the prompt ends with

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

// settle notes why the thought ended; of several reasons the first counts.
func (g *Guide) settle(s Stop) { g.stop.CompareAndSwap(nil, &s) }

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

// roomToOpen: a thought that opens now leaves what is reserved.
func (g *Guide) roomToOpen() bool { return g.reserved() >= len(g.c.Open) }

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

// force is a marker that has to come now: the rest of one that the model has
// begun where a grammar stood beside it, or the thought's end.
func (g *Guide) force() []int32 {
	var ids []int32
	switch {
	case g.begun == opens:
		ids = g.c.Open[1:]
	case g.stage != reasoning.InReasoning || g.closing || len(g.c.End) == 0:
		return nil
	default:
		if s := g.due(); s != "" {
			g.settle(s)
		} else if g.begun != closes {
			return nil
		}
		g.closing = true
		ids = g.rest()
	}
	g.begun, g.marker = none, len(ids)
	return ids
}

// rest is what is left of the thought's end, of which the model may have written
// a part.
func (g *Guide) rest() []int32 {
	for n := min(len(g.c.End)-1, len(g.recent)); n > 0; n-- {
		if slices.Equal(g.recent[len(g.recent)-n:], g.c.End[:n]) {
			return g.c.End[n:]
		}
	}
	return g.c.End
}

// due is why the thought has to end now; "" where it may go on.
func (g *Guide) due() Stop {
	b := g.c.Budget
	switch {
	case g.c.Whole && within(g.tail):
	case g.now.Load():
		return Client
	case b.Limited && g.thought >= b.Tokens:
		return Spent
	case b.Limited && g.thought >= b.Tokens-b.Grace && endsSentence(g.tail):
		return Spent
	case g.reserved() <= 0:
		return Length
	case b.Loops && g.loops.found:
		return Loop
	}
	return ""
}

// reserved is how many tokens the thought may still have for what is reserved.
func (g *Guide) reserved() int {
	if g.c.Budget.Reserve == 0 || g.c.MaxTokens == 0 {
		return math.MaxInt
	}
	return g.c.MaxTokens - g.total - len(g.c.End) - g.c.Budget.Reserve
}

// room is how many tokens the thought may still have.
func (g *Guide) room() int {
	if !g.c.Budget.Limited {
		return g.reserved()
	}
	return min(g.reserved(), g.c.Budget.Tokens-g.thought)
}

// endsSentence reports whether text ends a sentence or a line. A point right
// behind a digit may be a number's, until something else follows.
func endsSentence(text []byte) bool {
	if bytes.HasSuffix(text, []byte("\n")) {
		return true
	}
	if n := len(text); n > 1 && text[n-1] == '.' && text[n-2] >= '0' && text[n-2] <= '9' {
		return false
	}
	trimmed := bytes.TrimRight(text, " \"')”’")
	for _, end := range []string{".", "!", "?", "。", "！", "？", ";", "；"} {
		if bytes.HasSuffix(trimmed, []byte(end)) {
			return true
		}
	}
	return false
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

// Mask implements llm.Guide. Where a matcher fails nothing may come, which ends
// the choice with an error.
func (g *Guide) Mask(dst []uint32) bool {
	masked, err := g.mask(dst)
	if err != nil {
		clear(dst)
		return true
	}
	return masked
}

func (g *Guide) mask(dst []uint32) (masked bool, err error) {
	if g.c.Whole {
		return true, g.maskWhole(dst)
	}
	switch g.stage {
	case reasoning.InReasoning:
		return g.maskThought(dst)
	case reasoning.InAnswer:
		return g.maskAnswer(dst)
	case reasoning.Undecided:
		return g.maskUndecided(dst)
	}
	return false, nil
}

// maskWhole keeps to the grammar of all that the choice writes, and a thought to
// its own within it.
func (g *Guide) maskWhole(dst []uint32) error {
	if g.unheld != nil {
		return g.unheld
	}
	if err := g.c.Answer.Mask(dst); err != nil || g.stage != reasoning.InReasoning {
		return err
	}
	if g.room() <= utf8.UTFMax { // the thought must not end within a character: its grammar is of whole ones
		g.masks.partial.outOf(dst)
	}
	if g.c.Thought == nil {
		return nil
	}
	own := make([]uint32, len(dst))
	if err := g.maskOwn(own); err != nil {
		return err
	}
	for i := range dst {
		dst[i] &= own[i]
	}
	return nil
}

// maskOwn is what a thought's grammar allows, and its end where that may come.
func (g *Guide) maskOwn(dst []uint32) error {
	_, _, accepting, err := g.c.Thought.Take(nil)
	if err == nil {
		err = g.c.Thought.Mask(dst)
	}
	if err != nil {
		return err
	}
	if accepting && len(g.c.End) > 0 {
		allow(dst, g.c.End[0])
	}
	g.forbidEOS(dst)
	return nil
}

// waits: the choice must not end yet.
func (g *Guide) waits() bool { return g.c.Answer != nil || g.c.Budget.Reserve > 0 && !g.said }

// all allows every token but, where the answer is still to come, those that end
// a text.
func (g *Guide) all(dst []uint32) (masked bool) {
	if !g.waits() {
		return false
	}
	fill(dst, g.c.Vocab.Size())
	g.forbidEOS(dst)
	if g.stage == reasoning.InReasoning || g.masks.framed || g.said {
		return true
	}
	if g.c.MaxTokens-g.total == 1 { // the last token, and there is no answer yet
		g.masks.silent.outOf(dst)
	}
	if len(g.c.Open) > 0 && !g.roomToOpen() {
		forbid(dst, g.c.Open[0])
	}
	return true
}

func (g *Guide) forbidEOS(dst []uint32) {
	for _, id := range g.c.EOS {
		forbid(dst, id)
	}
}

func (g *Guide) maskAnswer(dst []uint32) (masked bool, err error) {
	if g.c.Answer == nil {
		return g.all(dst), nil
	}
	err = g.c.Answer.Mask(dst)
	if g.outside() {
		g.masks.blank.into(dst)
	}
	return true, err
}

// maskThought keeps a thought to its grammar, and where the answer has one keeps
// the thought's end clear of it.
func (g *Guide) maskThought(dst []uint32) (masked bool, err error) {
	if g.c.Thought == nil {
		if !g.all(dst) {
			return false, nil
		}
	} else if err := g.maskOwn(dst); err != nil {
		return true, err
	}
	for _, id := range g.masks.straddling {
		if g.straddles(g.c.Vocab.Bytes(id)) {
			forbid(dst, id)
		}
	}
	return true, nil
}

// straddles: a token would end the thought and begin the answer at once.
func (g *Guide) straddles(text []byte) bool {
	for _, marker := range g.c.Closes {
		for i := range text {
			if behind := text[i+1:]; len(behind) > 0 && endWith(g.tail, text[:i+1], marker) && !(blank(behind) && (g.spaced || g.c.Answer == nil)) {
				return true
			}
		}
	}
	return false
}

// endWith reports whether a and b, joined, end with marker.
func endWith(a, b []byte, marker string) bool {
	if n := len(marker) - len(b); n > 0 {
		return len(a) >= n && string(a[len(a)-n:]) == marker[:n] && string(b) == marker[n:]
	}
	return string(b[len(b)-len(marker):]) == marker
}

// maskUndecided: the answer begins as its grammar says, or a thought opens. In a
// frame's header anything may stand.
func (g *Guide) maskUndecided(dst []uint32) (masked bool, err error) {
	if g.c.Answer == nil || g.masks.framed {
		return g.all(dst), nil
	}
	err = g.c.Answer.Mask(dst)
	if g.mayOpen() {
		allow(dst, g.c.Open[0])
	}
	if g.outside() {
		g.masks.blank.into(dst)
	}
	return true, err
}
