package pipeline

import (
	"bytes"

	"github.com/reasond/reasond/internal/llm"
)

// shown is the log-probabilities of one output of a choice, its content or its
// reasoning: they add up to its text. A token is listed where its text is shown;
// of one that the output shows in part, because a marker, a stop string or a
// control token took the rest, the bytes are those of that part. Tokens of which
// nothing is shown are not listed.
//
// Raw text and output have offsets of their own: raw is where a token lies in what
// the model wrote, the output has the text of all shows, one behind the other.
type shown struct {
	tokens []rawLogprob // not passed yet, in order
	list   []shownLogprob
	fed    int // bytes of the output that were told, held back by a stop string or not
	out    int // of these, bytes that events carry
}

// rawLogprob is a token's log-probability and its raw text.
type rawLogprob struct {
	start, end int
	begun      bool // the list's last entry shows its beginning
	llm.TextLogprob
}

// shownLogprob is a token of which text has been shown.
type shownLogprob struct {
	at   int // in the output
	text string
	rest []byte // the token's bytes behind those that text has
	odd  bool   // text is not bytes of the token: it has U+FFFD for some of them
	open bool   // more of it may follow
	llm.TextLogprob
}

// grow adds a part of the token's text.
func (e *shownLogprob) grow(part string) {
	e.text += part
	if i := bytes.Index(e.rest, []byte(part)); i >= 0 {
		e.rest = e.rest[i+len(part):]
	} else {
		e.odd = true
	}
}

// add takes the tokens' next one.
func (s *shown) add(start, end int, p llm.TextLogprob) {
	if s == nil {
		return
	}
	s.tokens = append(s.tokens, rawLogprob{start: start, end: end, TextLogprob: p})
}

// show lists the tokens of raw text that the output goes on with. The output is
// then told of that text by feed.
func (s *shown) show(from int, text string) {
	if s == nil {
		return
	}
	s.pass(from)
	to, n := from+len(text), 0
	for i := range s.tokens {
		t := &s.tokens[i]
		if t.start >= to {
			break
		}
		lo, hi := max(t.start, from), min(t.end, to)
		if !t.begun {
			s.list = append(s.list, shownLogprob{at: s.fed + lo - from, rest: t.Bytes, open: true, TextLogprob: t.TextLogprob})
		}
		last := &s.list[len(s.list)-1]
		last.grow(text[lo-from : hi-from])
		if t.begun = true; t.end > to {
			break
		}
		last.open = false
		n++
	}
	s.tokens = append(s.tokens[:0], s.tokens[n:]...)
}

// pass says that raw text up to an offset is shown or never will be.
func (s *shown) pass(to int) {
	if s == nil {
		return
	}
	n := 0
	for n < len(s.tokens) && s.tokens[n].end <= to && s.tokens[n].start < to {
		if s.tokens[n].begun {
			s.list[len(s.list)-1].open = false
		}
		n++
	}
	s.tokens = append(s.tokens[:0], s.tokens[n:]...)
}

// place lists tokens of text whose place in the raw text nobody knows.
func (s *shown) place(tokens []llm.TextLogprob, text string) {
	if s == nil {
		return
	}
	at := 0
	for _, t := range tokens {
		n := min(len(t.Bytes), len(text)-at)
		e := shownLogprob{at: s.fed + at, rest: t.Bytes, TextLogprob: t}
		e.grow(text[at : at+n])
		s.list = append(s.list, e)
		at += n
	}
}

// feed says that the output goes on with so many bytes, sent that events carry
// so many more of them.
func (s *shown) feed(n int) {
	if s != nil {
		s.fed += n
	}
}

func (s *shown) sent(n int) {
	if s != nil {
		s.out += n
	}
}

// take returns the tokens whose text events carry and which are over.
func (s *shown) take() []llm.TextLogprob {
	if s == nil {
		return nil
	}
	var taken []llm.TextLogprob
	n := 0
	for n < len(s.list) && !s.list[n].open && s.list[n].at+len(s.list[n].text) <= s.out {
		taken = append(taken, s.list[n].logprob())
		n++
	}
	if n > 0 {
		s.list = append(s.list[:0], s.list[n:]...)
	}
	return taken
}

// close ends the output where its events end. It returns what take would have,
// had it been known that nothing follows.
func (s *shown) close() []llm.TextLogprob {
	if s == nil {
		return nil
	}
	n := 0
	for i := range s.list {
		e := &s.list[i]
		if rest := s.out - e.at; rest < len(e.text) {
			if rest <= 0 {
				break
			}
			e.text = e.text[:rest]
		}
		e.open = false
		n++
	}
	s.list, s.tokens = s.list[:n], nil
	return s.take()
}

// logprob is the token with the bytes that are shown of it: its own where the text
// has U+FFFD for them.
func (e *shownLogprob) logprob() llm.TextLogprob {
	p := e.TextLogprob
	if !e.odd {
		p.Bytes = []byte(e.text)
	}
	return p
}

func at(all []llm.Logprobs, i int) *llm.Logprobs {
	if i >= len(all) {
		return nil
	}
	return &all[i]
}

// probed takes the log-probability of the raw text's next token.
func (c *choice) probed(start, end int, p *llm.Logprobs) {
	if p == nil {
		return
	}
	named := vocabulary{c.vocab}.textLogprob(*p)
	c.said.add(start, end, named)
	if c.probesThought() {
		c.thoughts.add(start, end, named)
	}
}

// probesThought says that the reasoning has log-probabilities of its own.
func (c *choice) probesThought() bool {
	return c.req.ReasoningLogprobs && c.reasons
}

// upstreamLogprobs places the tokens of raw text one behind the other.
func (c *choice) upstreamLogprobs(d *llm.Delta) {
	end := c.rawStart + len(c.raw)
	last := end + len(d.Text)
	for i := range d.Logprobs {
		start := end
		end = min(end+len(vocabulary{c.vocab}.textLogprob(d.Logprobs[i]).Bytes), last)
		c.probed(start, end, &d.Logprobs[i])
	}
}

// placed lists the tokens of text that an upstream has split from the rest.
func (c *choice) placed(s *shown, d *llm.Delta) {
	var named []llm.TextLogprob
	for _, p := range d.Logprobs {
		named = append(named, vocabulary{c.vocab}.textLogprob(p))
	}
	s.place(named, d.Text)
}

// attach gives an event the log-probabilities that are ready.
func (c *choice) attach(e *llm.Event) {
	if c.said == nil {
		return
	}
	e.Logprobs = append(e.Logprobs, c.said.take()...)
	e.ThoughtLogprobs = append(e.ThoughtLogprobs, c.thoughts.take()...)
}
