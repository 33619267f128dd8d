package toolcall

import "strings"

// markup is a family of formats that write a call as tags: a name, then
// parameters by name, each value as plain text or JSON between its tags.
type markup struct {
	call      string   // before the name; "": the name stands at once
	nameEnds  []string // behind the name; those also in paramOpens or closes are not taken
	param     string   // before a parameter's name
	paramEnds []string // behind a parameter's name
	value     string   // before the value, if that has a tag of its own
	close     string   // behind the value
	end       string   // behind the call
	block     string   // behind the block of calls; "": a block is one call
	trim      bool     // one line end next to each of the value's tags is not the value's
	guess     bool     // a value of unknown type may be JSON
	// stated are paramEnds that state the type, in place of the schema.
	stated map[string]valueType
}

// markupReader is a block in such a format.
type markupReader struct {
	*markup
	tools Tools

	state markupState
	fn    string
	count int // parameters so far
	kind  valueType
	key   string
	open  bool   // the value is a string, streamed as it comes
	text  []byte // of a value that is no string
}

type markupState uint8

const (
	markCall markupState = iota
	markName
	markInside // between parameters
	markKey
	markBefore // before the value
	markLead   // at the line end before it
	markFirst  // at its first byte
	markValue
	markNext // between calls
)

func (k *markup) body(tools Tools, _ string) body { return &markupReader{markup: k, tools: tools} }

func (r *markupReader) read(m *machine, final bool) progress {
	for {
		var p progress
		switch r.state {
		case markCall:
			p = r.callOpen(m, final)
		case markName:
			p = r.name(m, final)
		case markInside:
			p = r.inside(m, final)
		case markKey:
			p = r.readKey(m, final)
		case markBefore:
			p = r.before(m, final)
		case markLead:
			p = r.lead(m)
		case markFirst:
			p = r.first(m)
		case markValue:
			p = r.readValue(m, final)
		case markNext:
			p = r.next(m, final)
		}
		if p != goOn {
			if p != more && m.open {
				r.cut(m)
			}
			if p == more && final && m.open {
				r.cut(m)
			}
			return p
		}
	}
}

// cut closes what is open of the arguments of a call that breaks off: a string
// value keeps what came of it.
func (r *markupReader) cut(m *machine) {
	if r.open {
		r.open = false
		m.args(`"`)
	}
}

func (r *markupReader) callOpen(m *machine, final bool) progress {
	if r.call != "" {
		if !m.skipSpaces() {
			return more
		}
		switch _, found := m.literal(final, r.call); found {
		case maybe:
			return more
		case no:
			return broken
		}
	}
	r.state = markName
	return goOn
}

func (r *markupReader) name(m *machine, final bool) progress {
	if r.call == "" && !m.skipSpaces() {
		return more
	}
	text, end, found := m.until(r.nameEnds...)
	switch {
	case found == maybe:
		return more
	case found == no:
		return broken
	case end == r.param || end == r.end:
		m.pos -= len(end)
	}
	r.fn = strings.TrimSpace(text)
	if r.fn == "" || strings.ContainsAny(r.fn, "<>\"") {
		return broken
	}
	r.count, r.state = 0, markInside
	return goOn
}

// inside takes the next parameter's tag or the call's end.
func (r *markupReader) inside(m *machine, final bool) progress {
	if !m.skipSpaces() {
		return more
	}
	lit, found := m.literal(final, r.param, r.end)
	switch found {
	case maybe:
		return more
	case no:
		return broken
	}
	if !m.open {
		m.begin(r.fn)
		m.args("{")
	}
	if lit == r.end {
		m.args("}")
		m.end()
		r.state = markNext
		return goOn
	}
	r.state = markKey
	return goOn
}

func (r *markupReader) readKey(m *machine, final bool) progress {
	text, end, found := m.until(r.paramEnds...)
	switch found {
	case maybe:
		return more
	case no:
		return broken
	}
	r.key = strings.TrimSpace(text)
	kind, stated := r.stated[end]
	if !stated {
		kind = r.tools.kind(r.fn, r.key)
	}
	r.kind = kind
	r.state = markBefore
	return goOn
}

func (r *markupReader) before(m *machine, final bool) progress {
	if r.value != "" {
		if !m.skipSpaces() {
			return more
		}
		switch _, found := m.literal(final, r.value); found {
		case maybe:
			return more
		case no:
			return broken
		}
	}
	if r.count++; r.count > 1 {
		m.args(", ")
	}
	m.args(quote(r.key) + ": ")
	r.text, r.state = r.text[:0], markLead
	return goOn
}

// lead takes the line end before the value.
func (r *markupReader) lead(m *machine) progress {
	if r.trim {
		if len(m.rest()) == 0 {
			return more
		}
		if m.rest()[0] == '\n' {
			m.take(1)
		}
	}
	r.state = markFirst
	return goOn
}

// first looks at the value's first byte: a string is streamed as it comes. Where
// the type is not known, only what looks like an object or a list may be one,
// unless the format lets anything be JSON.
func (r *markupReader) first(m *machine) progress {
	if len(m.rest()) == 0 {
		return more
	}
	b := m.rest()[0]
	r.open = r.kind == stringType || r.kind == unknownType && !r.guess && b != '{' && b != '['
	if r.open {
		m.args(`"`)
	}
	r.state = markValue
	return goOn
}

// readValue takes a value up to its closing tag, or, where the model forgot
// that, up to the next parameter or the call's end.
func (r *markupReader) readValue(m *machine, final bool) progress {
	rest := m.rest()
	at, end, partial := firstOf(rest, 0, final, []string{r.close, r.param, r.end})
	n := at
	if at < 0 {
		n = len(rest)
	}
	if r.trim && n > 0 && rest[n-1] == '\n' && !(at < 0 && final) {
		n--
	}
	r.piece(m, string(rest[:n]))
	if at < 0 || partial {
		m.take(n)
		return more
	}
	if r.open {
		r.cut(m)
	} else {
		m.args(r.kind.value(strings.TrimSpace(string(r.text)), true))
	}
	if m.take(at); end == r.close {
		m.take(len(end))
	}
	r.state = markInside
	return goOn
}

func (r *markupReader) piece(m *machine, text string) {
	if r.open {
		m.args(escape(text))
		return
	}
	r.text = append(r.text, text...)
}

// next takes what follows a call.
func (r *markupReader) next(m *machine, final bool) progress {
	if r.block == "" {
		return done
	}
	if !m.skipSpaces() {
		if final {
			return done
		}
		return more
	}
	lit, found := m.literal(final, r.block, r.call)
	switch {
	case found == maybe:
		return more
	case found == yes && lit == r.call:
		r.state = markName
		return goOn
	}
	return done
}
