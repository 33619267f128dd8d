package server

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// Server-sent events as OpenAI writes them: one data line an event, and a
// comment line while there is nothing to say.
// https://html.spec.whatwg.org/multipage/server-sent-events.html

var (
	eventDone    = []byte("[DONE]")
	eventComment = []byte(": keep-alive\n\n")
)

// beginEvents sends the header of an event stream.
func beginEvents(w *writer) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would collect the stream otherwise
	w.events = true
	w.WriteHeader(http.StatusOK)
}

// writeEvent writes one event; data has no line feed, as JSON escapes them.
func writeEvent(w http.ResponseWriter, data []byte) error {
	event := make([]byte, 0, len(data)+8)
	event = append(append(append(event, "data: "...), data...), "\n\n"...)
	_, err := w.Write(event)
	return err
}

// marshal is json.Marshal without the escapes that only HTML needs.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}
