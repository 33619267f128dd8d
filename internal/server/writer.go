package server

import (
	"net/http"
	"time"
)

// writer gives the client a limited time for each write, so that one who does
// not read cannot hold a stream. It remembers what has been sent.
type writer struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	armed   time.Time // when the deadline was set last
	status  int       // 0: no header yet
	events  bool      // the body is an event stream
}

func newWriter(w http.ResponseWriter, timeout time.Duration) *writer {
	return &writer{ResponseWriter: w, control: http.NewResponseController(w), timeout: timeout}
}

func (w *writer) wrote() bool { return w.status != 0 }

func (w *writer) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	}
	w.deadline()
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.deadline()
	return w.ResponseWriter.Write(p)
}

// FlushError sends what has been written.
func (w *writer) FlushError() error {
	w.deadline()
	return w.control.Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// deadline applies to the writes until the next one; recorders in tests have
// none, and then there is nobody to wait for either. Setting it costs as much as
// a small write, so it is set anew after a quarter of its time: a write has three
// quarters of it at least.
func (w *writer) deadline() {
	if now := time.Now(); now.Sub(w.armed) > w.timeout/4 {
		w.armed = now
		_ = w.control.SetWriteDeadline(now.Add(w.timeout))
	}
}
