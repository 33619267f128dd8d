package toolcall

import "strings"

// nested is a family of formats that write a call as tags which are called as its
// parameters are, objects and lists as tags within tags. A mark stands before each
// tag, so that text may hold anything but the mark:
//
//	¶<block>
//	¶<call name="f">¶<place>Zürich¶</place>¶<days>¶<item>1¶</item>¶<item>2¶</item>¶</days>¶</call>
//	¶</block>
type nested struct {
	mark  string // ¶
	block string // around calls
	call  string
	item  string // of a list's elements
}

// maxNested is how deep tags may nest.
const maxNested = 64

// nestedReader is a block in such a format. The mark before it is taken.
type nestedReader struct {
	*nested
	tools Tools

	state nestedState
	fn    string
	calls int         // that are over
	tags  []nestedTag // that are open, the call's first
}

type nestedState uint8

const (
	nestBlock nestedState = iota // the block's tag
	nestCall                     // a call's tag, or the block's end
	nestTags                     // within a call, an object or a list, or behind a text
	nestValue                    // within a parameter's or element's tag
)

// nestedTag is a tag that is open.
type nestedTag struct {
	name  string
	shape *shape
	value nestedValue
	count int    // members so far
	text  []byte // of a text that is no string
}

type nestedValue uint8

const (
	valueText   nestedValue = iota // no tags so far
	valueString                    // a text that is a string, streamed as it comes
	valueOver                      // a text that is over
	valueObject
	valueList
)

func (k *nested) body(tools Tools, _ string) body { return &nestedReader{nested: k, tools: tools} }

func (r *nestedReader) read(m *machine, final bool) progress {
	for {
		var p progress
		switch r.state {
		case nestBlock:
			p = r.begin(m, final)
		case nestCall:
			p = r.callOpen(m, final)
		case nestTags:
			p = r.tag(m, final)
		case nestValue:
			p = r.readValue(m, final)
		}
		if p == goOn {
			continue
		}
		if m.open && (p != more || final) && r.top().value == valueString {
			m.args(`"`) // what came of a string that breaks off is kept
		}
		return p
	}
}

func (r *nestedReader) top() *nestedTag { return &r.tags[len(r.tags)-1] }

func (r *nestedReader) begin(m *machine, final bool) progress {
	if !m.skipSpaces() {
		return more
	}
	switch _, found := m.literal(final, "<"+r.block+">"); found {
	case maybe:
		return more
	case no:
		return broken
	}
	r.state = nestCall
	return goOn
}

// next takes the tag that comes next: what stands in it, and whether it is a
// closing one. Nothing is taken where there is none yet.
func (r *nestedReader) next(m *machine, final bool) (text string, closing bool, found match) {
	from := m.pos
	n, closing, found := r.tagAt(m.rest(), final)
	if found == yes {
		m.take(n)
		text, _, found = m.until(">")
	}
	if found != yes {
		m.pos = from
	}
	return text, closing, found
}

// tagAt says whether data begins with a mark and "<" or "</", and how many bytes
// these are. White space may stand between them.
func (k *nested) tagAt(data []byte, final bool) (n int, closing bool, found match) {
	short := maybe // data ends before it can be said
	if final {
		short = no
	}
	if at, _, partial := firstOf(data[:min(len(data), len(k.mark))], 0, final, []string{k.mark}); at != 0 {
		return 0, false, no
	} else if partial {
		return 0, false, short
	}
	n = len(k.mark)
	for n < len(data) && isSpace(data[n]) {
		n++
	}
	switch {
	case n < len(data) && data[n] != '<':
		return 0, false, no
	case n+1 >= len(data):
		return 0, false, short
	case data[n+1] == '/':
		return n + 2, true, yes
	}
	return n + 1, false, yes
}

func (r *nestedReader) callOpen(m *machine, final bool) progress {
	if !m.skipSpaces() {
		if final && r.calls > 0 {
			return done
		}
		return more
	}
	text, closing, found := r.next(m, final)
	switch {
	case found == maybe:
		return more
	case found == yes && closing && text == r.block && r.calls > 0:
		return done
	case found == yes && !closing && r.named(text):
		r.tags = append(r.tags[:0], nestedTag{name: r.call, shape: newShape(r.tools[r.fn].schema, r.tools[r.fn].schema), value: valueObject})
		r.state = nestTags
		return goOn
	case found == no && r.calls > 0: // the model forgot the block's end
		return done
	}
	return broken
}

// named reads the inside of a call's tag.
func (r *nestedReader) named(text string) bool {
	rest, ok := strings.CutPrefix(text, r.call)
	if rest = strings.TrimLeft(rest, " \t"); !ok {
		return false
	}
	rest, ok = strings.CutPrefix(rest, "name=")
	r.fn = strings.TrimSpace(strings.Trim(strings.TrimSpace(rest), `"`))
	return ok && r.fn != "" && !strings.ContainsAny(r.fn, `<"`)
}

// tag takes the next tag: of a member, or one that closes.
func (r *nestedReader) tag(m *machine, final bool) progress {
	if !m.skipSpaces() {
		return more
	}
	text, closing, found := r.next(m, final)
	switch {
	case found == maybe:
		return more
	case found == no:
		return broken
	case !m.open:
		m.begin(r.fn)
		m.args("{")
	}
	if text = strings.TrimSpace(text); closing {
		return r.closeTag(m, text)
	}
	return r.openTag(m, text)
}

func (r *nestedReader) openTag(m *machine, name string) progress {
	if r.top().value == valueOver { // the model forgot to close it
		r.tags = r.tags[:len(r.tags)-1]
	}
	if name == "" || strings.ContainsAny(name, `<"`) || len(r.tags) == maxNested {
		return broken
	}
	top := r.top()
	if top.count++; top.count > 1 {
		m.args(", ")
	}
	of := top.shape.item
	if top.value == valueObject {
		m.args(quote(name) + ": ")
		of = func() *shape { return top.shape.member(name) }
	}
	r.tags = append(r.tags, nestedTag{name: name, shape: of()})
	r.state = nestValue
	return goOn
}

// closeTag closes the tag of a name, and those within it that the model forgot to
// close.
func (r *nestedReader) closeTag(m *machine, name string) progress {
	at := len(r.tags) - 1
	for at >= 0 && r.tags[at].name != name {
		at--
	}
	if at < 0 {
		return broken
	}
	for i := len(r.tags) - 1; i >= at; i-- {
		switch r.tags[i].value {
		case valueObject:
			m.args("}")
		case valueList:
			m.args("]")
		}
	}
	if r.tags = r.tags[:at]; at == 0 {
		m.end()
		r.calls++
		r.state = nestCall
	}
	return goOn
}

// readValue takes a text up to the next tag; a tag right behind the opening one
// makes an object or a list of the value.
func (r *nestedReader) readValue(m *machine, final bool) progress {
	top := r.top()
	rest := m.rest()
	at, _, partial := firstOf(rest, 0, final, []string{r.mark})
	n := at
	if at < 0 {
		n = len(rest)
	}
	r.piece(m, top, rest[:n])
	m.take(n)
	if at < 0 || partial {
		return more
	}
	n, closing, found := r.tagAt(m.rest(), final)
	switch {
	case found == maybe:
		return more
	case found == no: // a mark in a text
		r.piece(m, top, []byte(r.mark))
		m.take(len(r.mark))
		return goOn
	case !closing && top.value == valueText && strings.TrimSpace(string(top.text)) == "" && top.shape.kind != textShape:
		return r.container(m, top, m.rest()[n-1:], final)
	}
	r.over(m, top)
	return goOn
}

// piece adds to a text.
func (r *nestedReader) piece(m *machine, top *nestedTag, text []byte) {
	if top.value == valueText && top.shape.kind == textShape && len(text) > 0 {
		top.value = valueString
		m.args(`"`)
	}
	if top.value == valueString {
		m.args(escape(string(text)))
	} else {
		top.text = append(top.text, text...)
	}
}

// container makes an object or a list of a value that begins with a tag: what the
// schema says, or else a list where the tag is an element's.
func (r *nestedReader) container(m *machine, top *nestedTag, tag []byte, final bool) progress {
	item := "<" + r.item + ">"
	list := top.shape.kind == listShape
	if !list && top.shape.kind != objectShape {
		begin := string(tag[:min(len(tag), len(item))])
		if begin != item && strings.HasPrefix(item, begin) && !final {
			return more
		}
		list = begin == item
	}
	top.value, top.text = valueObject, nil
	if list {
		top.value = valueList
		m.args("[")
	} else {
		m.args("{")
	}
	r.state = nestTags
	return goOn
}

// over ends a text.
func (r *nestedReader) over(m *machine, top *nestedTag) {
	text := string(top.text)
	plain := strings.TrimSpace(text)
	switch v, ok := literal(plain); {
	case top.value == valueString:
		m.args(`"`)
	case ok:
		m.args(v)
	case plain == "" && top.shape.kind == listShape:
		m.args("[]")
	case plain == "" && top.shape.kind == objectShape:
		m.args("{}")
	default:
		m.args(quote(text))
	}
	top.value, top.text = valueOver, nil
	r.state = nestTags
}
