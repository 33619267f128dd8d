package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// Streams: server-sent events as OpenAI writes them, one data line an event and
// a comment line while there is nothing to say; with names, as Anthropic and the
// Responses API have it; or lines of JSON, as Ollama has it.
// https://html.spec.whatwg.org/multipage/server-sent-events.html

var eventDone = []byte("[DONE]")

// dialect is how one API puts streams and errors on the wire.
type dialect struct {
	lines bool   // a stream is lines of JSON, no events
	named bool   // events have names
	alive []byte // sent while there is nothing to say
	// fault is the body of an error, alone or in a stream.
	fault func(*failure) []byte
}

var openaiDialect = dialect{alive: []byte(": keep-alive\n\n"), fault: (*failure).body}

// speaks is the dialect of the request's endpoint.
func (x *exchange) speaks() *dialect {
	if x.tongue == nil {
		return &openaiDialect
	}
	return x.tongue
}

// in makes an endpoint's streams and errors those of a dialect.
func (d *dialect) in(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		exchangeOf(r.Context()).tongue = d
		h(w, r)
	}
}

// beginStream sends the header of a stream.
func (x *exchange) beginStream() {
	h := x.w.Header()
	if x.speaks().lines {
		h.Set("Content-Type", "application/x-ndjson")
	} else {
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
	}
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would collect the stream otherwise
	x.w.events, x.out = true, roomy(x.out)
	x.w.WriteHeader(http.StatusOK)
}

// put takes messages that the next push sends; their JSON has no line feed, as
// JSON escapes them.
func (x *exchange) put(messages ...message) {
	d := x.speaks()
	for i := range messages {
		m := &messages[i]
		if !d.lines {
			if d.named {
				x.out = append(append(append(x.out, "event: "...), m.name...), '\n')
			}
			x.out = append(x.out, "data: "...)
		}
		x.out = m.append(x.out)
		if !d.lines {
			x.out = append(x.out, '\n')
		}
		x.out = append(x.out, '\n')
	}
}

// push sends what was put, in one write. now is about when.
func (x *exchange) push(now time.Time) error {
	buf, err := x.w.send(x.out, now)
	x.out = roomy(buf)
	return gone(err)
}

// append appends the message's JSON.
func (m *message) append(dst []byte) []byte {
	if m.frame != nil {
		return m.frame.append(dst, m.mark, m.text)
	}
	data, ok := m.body.([]byte)
	if !ok {
		var err error
		if data, err = marshal(m.body); err != nil {
			panic(err) // our own types
		}
	}
	return append(dst, data...)
}

// marshal is json.Marshal without the escapes that only HTML needs.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}
