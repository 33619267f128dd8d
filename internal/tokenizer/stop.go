package tokenizer

import "slices"

// Matcher looks for stop strings in a choice's content, as it comes. The match
// is the one that starts earliest, and of those that start together the one
// listed first, however the text is cut into Feeds. What is held back is a
// proper prefix of a stop string. It takes time linear in the text, whatever
// the stop strings are. It is not safe for concurrent use.
//
// It is an Aho-Corasick automaton: the node is the longest suffix of the text
// that begins a stop string, so where the node's text starts is the earliest
// place where a match may still start.
type Matcher struct {
	stops []string
	auto  *automaton

	node     int32
	pos      int // bytes read
	given    int // bytes given out; what lies between is held back
	found    int // start of the best complete match, -1 if none
	best     int // its index in stops
	finished bool
}

// NewMatcher looks for stops; empty ones are ignored. Without any, all text
// passes.
func NewMatcher(stops []string) *Matcher {
	stops = slices.DeleteFunc(slices.Clone(stops), func(s string) bool { return s == "" })
	m := &Matcher{stops: stops, found: -1}
	if len(stops) > 0 {
		m.auto = newAutomaton(stops)
	}
	return m
}

// Feed reads text and returns what can no longer be part of a match; matched
// says that a stop string was found, and text is then what came before it. After a
// match nothing is read any more.
func (m *Matcher) Feed(text string) (safe string, matched bool) {
	if m.finished {
		return "", false
	}
	if m.auto == nil {
		m.pos += len(text)
		m.given = m.pos
		return text, false
	}
	base, held := m.pos, m.Held()
	for i := 0; i < len(text); i++ {
		m.step(text[i])
		if m.settled() {
			return m.release(held, text, base, m.found), true
		}
	}
	return m.release(held, text, base, m.pos-int(m.auto.depth[m.node])), false
}

// Close ends the text: what is held back is either a match that a longer one
// could have replaced, or text.
func (m *Matcher) Close() (rest string, matched bool) {
	if m.finished {
		return "", false
	}
	held := m.Held()
	if m.found >= 0 {
		m.finished = true
		return m.release(held, "", m.pos, m.found), true
	}
	m.finished = true
	return held, false
}

// Match is the stop string that was found and the offset in the text where it
// starts; ok is false while there is none.
func (m *Matcher) Match() (stop string, start int, ok bool) {
	if !m.finished || m.found < 0 {
		return "", 0, false
	}
	return m.stops[m.best], m.found, true
}

// Held is the text held back: a proper prefix of a stop string.
func (m *Matcher) Held() string {
	if m.auto == nil || m.finished {
		return ""
	}
	return m.auto.text[m.node]
}

// step reads a byte.
func (m *Matcher) step(c byte) {
	m.node = m.auto.next(m.node, c)
	m.pos++
	for n := m.node; n != 0; n = m.auto.link[n] {
		i := int(m.auto.stop[n])
		if i == none {
			continue
		}
		start := m.pos - int(m.auto.depth[n])
		if m.found < 0 || start < m.found || start == m.found && i < m.best {
			m.found, m.best = start, i
		}
	}
}

// settled says that no better match than the one found can come.
func (m *Matcher) settled() bool {
	if m.found < 0 {
		return false
	}
	start := m.pos - int(m.auto.depth[m.node])
	m.finished = start > m.found || start == m.found && int(m.auto.least[m.node]) >= m.best
	return m.finished
}

// release gives out the text up to the offset end: a part of held, which was
// held back before, and of text, which starts at the offset base.
func (m *Matcher) release(held, text string, base, end int) string {
	from := m.given
	m.given = end
	switch {
	case end <= base:
		return held[:end-from]
	case from >= base:
		return text[from-base : end-base]
	}
	return held + text[:end-base]
}
