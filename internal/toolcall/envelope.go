package toolcall

import "encoding/json"

// envelope reads calls written as JSON objects with a name and arguments, alone,
// one behind the other, or in an array:
//
//	{"name": "f", "arguments": {…}}
//	[{"name": "f", "parameters": {…}}, …]
//	{"type": "function", "function": {"name": "f", "arguments": "{…}"}}
type envelope struct {
	closes  []string // literals of which one may end the block
	between string   // may stand between objects that stand alone, such as ";"
	listed  bool     // calls stand in an array

	state envelopeState
	array bool
	depth int // 0: outside objects; 2: in the member "function"
	key   []byte
	scan  jsonScan
	value []byte // of a name
	name  string
	named bool
	args  argsReader
	early []byte // arguments ahead of their name
	ready bool   // arguments are whole, with early
	kind  valueKind
}

type envelopeState uint8

const (
	envStart envelopeState = iota // before an object or an array
	envKey
	envInKey
	envColon
	envValue
	envInValue
	envAfter // behind a value
	envNext  // behind an object
)

type valueKind uint8

const (
	otherValue valueKind = iota
	nameValue
	argsValue
)

func (e *envelope) read(m *machine, final bool) progress {
	for {
		if e.state == envInKey || e.state == envInValue {
			if p := e.inside(m); p != done {
				return p
			}
			continue
		}
		if !m.skipSpaces() {
			return e.dry(final)
		}
		if p := e.structure(m, final); p != goOn {
			return p
		}
	}
}

// goOn is the progress of a reader that goes on by itself.
const goOn progress = 255

// dry is where text has run out: fine behind an object that stands alone.
func (e *envelope) dry(final bool) progress {
	if final && e.state == envNext && !e.array {
		return done
	}
	return more
}

// structure takes what stands between keys and values.
func (e *envelope) structure(m *machine, final bool) progress {
	b := m.rest()[0]
	switch e.state {
	case envStart, envNext:
		return e.gap(m, b, final)
	case envKey:
		switch b {
		case '"':
			e.state, e.key, e.scan = envInKey, e.key[:0], jsonScan{}
			return goOn
		case '}':
			m.take(1)
			return e.closeObject(m)
		}
	case envColon:
		if b == ':' {
			m.take(1)
			e.state = envValue
			return goOn
		}
	case envValue:
		return e.beginValue(m, b)
	case envAfter:
		switch b {
		case ',':
			m.take(1)
			e.state = envKey
			return goOn
		case '}':
			m.take(1)
			return e.closeObject(m)
		}
	}
	return broken
}

// gap takes what stands between calls.
func (e *envelope) gap(m *machine, b byte, final bool) progress {
	switch {
	case b == '{' && (e.array || !e.listed):
		m.take(1)
		e.state, e.depth = envKey, 1
		return goOn
	case b == '[' && e.state == envStart && !e.array:
		m.take(1)
		e.array = true
		return goOn
	case b == ',' && e.state == envNext && e.array:
		m.take(1)
		return goOn
	case b == ']' && e.array:
		m.take(1)
		e.state, e.array = envNext, false
		return goOn
	case e.state == envStart:
		return broken
	}
	if e.between != "" {
		switch _, found := m.literal(final, e.between); found {
		case maybe:
			return more
		case yes:
			return goOn
		}
	}
	if _, found := m.literal(final, e.closes...); found == maybe {
		return more
	}
	return done // whether closed or not: the calls are whole
}

func (e *envelope) beginValue(m *machine, b byte) progress {
	var key string
	if json.Unmarshal(e.key, &key) != nil {
		return broken
	}
	e.kind, e.scan = otherValue, jsonScan{}
	switch {
	case key == "function" && b == '{' && e.depth == 1 && !e.named:
		m.take(1)
		e.depth, e.state = 2, envKey
		return goOn
	case (key == "name" || key == "function" && b == '"') && b == '"' && !e.named:
		e.kind, e.value = nameValue, e.value[:0]
	case (key == "arguments" || key == "parameters") && (b == '{' || b == '"') && !e.ready:
		e.kind, e.args = argsValue, argsReader{}
		if e.named {
			m.begin(e.name)
		}
	}
	e.state = envInValue
	return goOn
}

// inside takes of a key or value. done: it is whole.
func (e *envelope) inside(m *machine) progress {
	if e.state == envInValue && e.kind == argsValue && e.named {
		p := e.args.read(m)
		if p == done {
			e.ready, e.state = true, envAfter
		}
		return p
	}
	rest := m.rest()
	for i, c := range rest {
		v := e.scan.next(c)
		if v == breaks {
			m.take(i)
			return broken
		}
		if v != endsOut {
			e.keep(c)
		}
		switch v {
		case endsIn:
			m.take(i + 1)
			return e.endInside()
		case endsOut:
			m.take(i)
			return e.endInside()
		}
	}
	m.take(len(rest))
	return more
}

func (e *envelope) keep(c byte) {
	switch {
	case e.state == envInKey:
		e.key = append(e.key, c)
	case e.kind == nameValue:
		e.value = append(e.value, c)
	case e.kind == argsValue:
		e.early = append(e.early, escaped(c, e.scan.inString())...)
	}
}

func (e *envelope) endInside() progress {
	if e.state == envInKey {
		e.state = envColon
		return done
	}
	e.state = envAfter
	switch e.kind {
	case nameValue:
		if json.Unmarshal(e.value, &e.name) != nil || e.name == "" || len(e.name) > maxName {
			return broken
		}
		e.named = true
	case argsValue:
		e.ready = true
	}
	return done
}

// closeObject ends an object, and with the outer one a call.
func (e *envelope) closeObject(m *machine) progress {
	e.state = envAfter
	if e.depth--; e.depth > 0 {
		return goOn
	}
	if !e.named {
		return broken
	}
	if !m.open {
		m.begin(e.name)
		switch {
		case !e.ready:
			m.args("{}") // a call without arguments
		case e.early[0] == '"':
			m.args(unquoted(e.early))
		default:
			m.args(string(e.early))
		}
	}
	m.end()
	e.state, e.named, e.ready, e.early = envNext, false, false, nil
	return goOn
}
