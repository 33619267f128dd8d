package pipeline

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/guide"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/tokenizer"
)

// choice follows one choice from tokens to events. Text is addressed by its
// byte offset in the choice's raw text, which is all that the decoder made.
//
// What each token touches stands first: of thousands of choices none is in the
// processor's caches when its next token comes, and each line of memory costs.
type choice struct {
	finished  bool
	thinking  bool // the thought has begun
	spent     bool // the prompt has closed the thought
	prefaced  bool // the event of the prompt is out
	answers   bool // the answer has begun
	lead      bool // white space before the answer is not its grammar's, nor content
	bares     bool // the content is all that the model wrote
	ids       bool // events carry the tokens' ids
	drops     bool // control tokens are not content
	reasons   bool // the thought is handed out
	streams   bool // as it comes
	index     int
	match     *string
	vocab     *tokenizer.Vocab // nil where the engine gives text only
	dec       tokenizer.Decoder
	parser    reasoning.Parser
	tools     *toolReader        // nil: content has no calls
	stops     *tokenizer.Matcher // nil: no stop strings
	end       int                // where the last token ends
	raw       []byte             // raw text from rawStart on: not yet covered by a segment
	rawStart  int
	tokens    []int       // end offsets of tokens that no segment has covered yet
	completed int         // tokens
	reasoned  int         // of these, tokens of reasoning text
	timed     int         // of reasoned, those that times knows
	control   []textRun   // control tokens that no segment has covered yet
	calls     calls       // in progress
	pending   []llm.Event // what comes of the delta at hand, behind those of others
	first     int         // in pending
	segments  []reasoning.Segment
	parts     []textPart // of the segment at hand
	said      *shown     // log-probabilities of the content; nil: nobody asked
	thoughts  *shown     // and of the reasoning
	times     llm.Timeline

	req       *Request
	thought   []byte  // reasoning kept for one event (StreamReasoning false)
	unsentIDs []int32 // tokens that no event carries yet, if asked for
	guide     *guide.Guide
}

// textRun is a range of raw text.
type textRun struct{ start, end int }

func (m *Model) newChoice(i int, req *Request, start reasoning.Start) choice {
	c := choice{
		index: i, req: req, lead: req.Grammar != nil, parser: &plain{}, tools: m.toolReader(req), thinking: start.Open == reasoning.OpenYes,
		bares: req.RawContent || !req.SeparateReasoning, ids: req.TokenIDs, drops: !req.KeepSpecial,
		reasons: req.SeparateReasoning && !req.DropReasoning, streams: req.StreamReasoning,
	}
	if req.Sampling.Logprobs || req.ReasoningLogprobs {
		c.said, c.thoughts = new(shown), new(shown)
	}
	if m.Parser != nil && !req.NoParser {
		c.parser, c.calls.json = m.Parser.New(start), m.Parser.Arguments
	}
	if m.Tokenizer != nil {
		c.vocab = m.Tokenizer.Vocab()
		c.dec = *c.vocab.NewDecoder(false)
		if req.Prompt != nil || req.Chat.ContinueFinalMessage {
			c.dec.Continue()
		}
	}
	if len(req.Stop) > 0 {
		c.stops = tokenizer.NewMatcher(req.Stop)
	}
	return c
}

// accept takes a delta's tokens one by one, so that what comes after a stop
// string is neither sent nor counted. It reports a stop string when it matches.
func (c *choice) accept(d *llm.Delta) (match string, stopped bool) {
	if c.match != nil || c.finished {
		return "", false
	}
	if d.Text != "" {
		c.completed += max(d.Tokens, 1)
		c.upstream(d)
	}
	for i, id := range d.IDs {
		c.completed++
		if c.ids {
			c.unsentIDs = append(c.unsentIDs, id)
		}
		if d.Finish != nil && i == len(d.IDs)-1 && id == d.Finish.StopID {
			break // the token that ended the choice yields no text
		}
		c.token(id, at(d.Logprobs, i))
		if c.match != nil {
			break
		}
	}
	if c.match != nil {
		return *c.match, true
	}
	return "", false
}

// upstream takes text that another server has made, and perhaps split already.
func (c *choice) upstream(d *llm.Delta) {
	switch d.Channel {
	case llm.ChannelRaw:
		c.upstreamLogprobs(d)
		for range max(d.Tokens, 1) { // where in the text each of them ends is not known
			c.tokens = append(c.tokens, c.rawStart+len(c.raw)+len(d.Text))
		}
		c.feed(d.Text)
	case llm.ChannelReasoning:
		c.reasoned += max(d.Tokens, 1)
		if c.probesThought() {
			c.placed(c.thoughts, d)
		}
		if c.bares {
			c.placed(c.said, d)
		}
		c.reasoning(d.Text)
	case llm.ChannelContent:
		c.answers = true
		c.placed(c.said, d)
		c.content(d.Text)
	case llm.ChannelTool:
		c.answers = true
		c.flushThought()
		c.pending = append(c.pending, llm.Event{Choice: c.index, Kind: llm.EventToolCall, Text: d.Text})
	}
}

func (c *choice) token(id int32, p *llm.Logprobs) {
	text, end := c.dec.Next(id)
	c.tokens = append(c.tokens, end)
	c.probed(c.end, end, p)
	c.end = end
	if c.vocab.IsControl(id) {
		c.control = append(c.control, textRun{end - len(c.vocab.Bytes(id)), end})
	}
	if text != "" {
		c.feed(text)
	}
}

func (c *choice) feed(text string) {
	c.raw = append(c.raw, text...)
	c.segments = c.parser.Feed(c.segments[:0], text)
	for _, s := range c.segments {
		c.segment(s)
	}
}

// segment turns a parsed segment into output.
func (c *choice) segment(s reasoning.Segment) {
	if c.match != nil {
		return
	}
	if s.Start == s.End { // the parser's own words (Descriptor.Prefix), not the model's
		if !c.bares {
			c.content(s.Text)
		}
		return
	}
	if c.bares {
		c.bare(c.part(s.Start))
	}
	c.skip(s.End)
	c.count(s)
	c.answers = c.answers || s.Kind != reasoning.Reasoning
	if s.Kind == reasoning.Content {
		c.endCall()
		if c.tools != nil {
			c.toolContent(s, s.Text)
		} else {
			c.contentSegment(s, s.Text)
		}
		return
	}
	c.closeTools()
	if !c.release() {
		return
	}
	tool := s.Kind == reasoning.ToolName || s.Kind == reasoning.ToolArguments
	c.parts = append(c.parts[:0], textPart{s.Start, s.Text})
	if c.drops && (!tool || c.calls.json == nil) { // arguments may be written in control tokens
		c.dropControl(s, s.Text)
	}
	switch {
	case tool && c.bares:
		for _, p := range c.parts {
			c.bare(p)
		}
	case tool:
		c.call(s, joined(c.parts))
	default:
		c.endCall()
		for _, p := range c.parts {
			c.thoughts.show(p.at, p.text)
			if c.bares {
				c.said.show(p.at, p.text)
			}
			c.reasoning(p.text)
		}
	}
	c.thoughts.pass(s.End)
	c.said.pass(s.End)
}

// showContent shows the content of a segment.
func (c *choice) showContent(s reasoning.Segment, text string) {
	c.parts = append(c.parts[:0], textPart{s.Start, text})
	if c.drops {
		c.dropControl(s, text)
	}
	for _, p := range c.parts {
		c.said.show(p.at, p.text)
		c.content(p.text)
	}
	c.thoughts.pass(s.End)
}

// bare shows raw text as it is.
func (c *choice) bare(p textPart) {
	c.said.show(p.at, p.text)
	c.uncut(p.text)
}

func (c *choice) reasoning(text string) {
	switch {
	case !c.reasons:
	case c.streams:
		c.thoughts.feed(len(text))
		c.emit(llm.EventReasoning, text)
	default:
		c.thoughts.feed(len(text))
		c.thought = append(c.thought, text...)
	}
	if c.bares {
		c.uncut(text)
	}
}

// skip removes raw text up to an offset.
func (c *choice) skip(end int) {
	c.raw = append(c.raw[:0], c.raw[end-c.rawStart:]...)
	c.rawStart = end
}

// count attributes tokens: a token belongs to the segment that holds its last
// byte, and to none if that byte is a marker's.
func (c *choice) count(s reasoning.Segment) {
	n := 0
	for _, end := range c.tokens {
		if end > s.End {
			break
		}
		n++
		if s.Kind == reasoning.Reasoning && end > s.Start {
			c.reasoned++
		}
	}
	c.tokens = append(c.tokens[:0], c.tokens[n:]...)
}

// textPart is a part of a segment's text and where in the raw text it lies.
type textPart struct {
	at   int
	text string
}

// part is the raw text that skip removes.
func (c *choice) part(end int) textPart {
	p := textPart{c.rawStart, string(c.raw[:end-c.rawStart])}
	c.skip(end)
	return p
}

func joined(parts []textPart) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.text)
	}
	return b.String()
}

// dropControl cuts left-over control tokens out of a segment's text, which is the
// one part so far.
func (c *choice) dropControl(s reasoning.Segment, text string) {
	if len(c.control) == 0 {
		return
	}
	n, at := 0, s.Start
	c.parts = c.parts[:0]
	for _, run := range c.control {
		if run.start >= s.End {
			break
		}
		from, to := max(run.start, s.Start), min(run.end, s.End)
		if from < to {
			c.parts = append(c.parts, textPart{at, text[at-s.Start : from-s.Start]})
			at = to
		}
		if run.end > s.End {
			break
		}
		n++
	}
	c.control = append(c.control[:0], c.control[n:]...)
	c.parts = append(c.parts, textPart{at, text[at-s.Start:]})
}

// content passes text through the stop strings. The thought, if it was kept
// back, comes first: content is the sign that the block has closed.
func (c *choice) content(text string) {
	c.flushThought()
	c.said.feed(len(text))
	if c.stops == nil {
		c.emit(llm.EventContent, text)
		return
	}
	c.checked(c.stops.Feed(text))
}

// checked emits content that the stop strings let pass.
func (c *choice) checked(text string, matched bool) {
	if matched {
		match, _, _ := c.stops.Match()
		c.match = &match
		if c.req.IncludeStop {
			text += match
		}
	}
	c.emit(llm.EventContent, text)
}

// uncut emits raw text in which no stop string is looked for: reasoning and
// markers of an answer that is not separated. No stop string spans it.
func (c *choice) uncut(text string) {
	if text != "" && c.release() {
		c.said.feed(len(text))
		c.emit(llm.EventContent, text)
	}
}

// release lets go of content that might have begun a stop string: something
// else follows, which no stop string spans. It reports whether the choice goes
// on.
func (c *choice) release() bool {
	if c.match == nil && c.stops != nil && c.stops.Held() != "" {
		c.checked(c.stops.Close())
		c.stops = tokenizer.NewMatcher(c.req.Stop)
	}
	return c.match == nil
}

func (c *choice) flushThought() {
	c.emit(llm.EventReasoning, string(c.thought))
	c.thought = nil
}

// emit appends an event, joined with the one before where they are of a kind.
func (c *choice) emit(kind llm.EventKind, text string) {
	if text == "" {
		return
	}
	if n := len(c.pending); n > c.first && c.pending[n-1].Kind == kind {
		c.pending[n-1].Text += text
	} else {
		c.pending = append(c.pending, llm.Event{Choice: c.index, Kind: kind, Text: text})
	}
	if kind == llm.EventContent {
		c.said.sent(len(text))
	} else {
		c.thoughts.sent(len(text))
	}
	c.attach(&c.pending[len(c.pending)-1])
}

// take makes what comes next stand behind the events of others.
func (c *choice) take(others []llm.Event) { c.pending, c.first = others, len(others) }

// drain hands the events out, behind those of others. The last of them has the
// tokens so far.
func (c *choice) drain() []llm.Event {
	events := c.pending
	c.pending = nil
	if n := len(events); n > c.first {
		last := &events[n-1]
		c.attach(last)
		if c.ids {
			last.IDs, c.unsentIDs = c.unsentIDs, nil
		}
	}
	return events
}

// plain is the parser of a model that does not reason: all text is content.
type plain struct{ end int }

func (p *plain) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	start := p.end
	p.end += len(text)
	return append(dst, reasoning.Segment{Kind: reasoning.Content, Start: start, End: p.end, Text: text})
}

func (p *plain) Close(dst []reasoning.Segment) []reasoning.Segment { return dst }
