package server

import (
	"net"
	"net/http"
	"time"
)

// writer gives the client a limited time for each write, so that one who does
// not read cannot hold a stream. It remembers what has been sent.
type writer struct {
	status  int  // 0: no header yet
	events  bool // the body is an event stream
	begun   bool // whose header is out
	timeout time.Duration
	armed   time.Time // when the deadline was set last
	conn    net.Conn  // where chunks may go; nil: through net/http only
	http.ResponseWriter
	control *http.ResponseController
}

func newWriter(w http.ResponseWriter, conn net.Conn, timeout time.Duration) *writer {
	return &writer{ResponseWriter: w, control: http.NewResponseController(w), conn: conn, timeout: timeout}
}

func (w *writer) wrote() bool { return w.status != 0 }

func (w *writer) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	}
	w.deadline(time.Now())
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	return w.write(p, time.Now())
}

// send sends what stands behind a buffer's chunkRoom, and returns the buffer. now is
// when, about: of the clock, which is dear for a token, one reading is enough.
func (w *writer) send(buf []byte, now time.Time) ([]byte, error) {
	if w.begun && w.conn != nil && len(buf) > chunkRoom {
		w.deadline(now)
		buf, at := asChunk(buf)
		_, err := w.conn.Write(buf[at:])
		if err != nil { // a part of a chunk may be out, so nothing can follow
			_ = w.conn.Close()
		}
		return buf, err
	}
	if _, err := w.write(buf[chunkRoom:], now); err != nil {
		return buf, err
	}
	err := w.control.Flush()
	w.begun = w.events && err == nil
	return buf, err
}

func (w *writer) write(p []byte, now time.Time) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.deadline(now)
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// deadline applies to the writes until the next one; recorders in tests have
// none, and then there is nobody to wait for either. Setting it costs as much as
// a small write, so it is set anew after a quarter of its time: a write has three
// quarters of it at least.
func (w *writer) deadline(now time.Time) {
	if now.Sub(w.armed) > w.timeout/4 {
		w.armed = now
		_ = w.control.SetWriteDeadline(now.Add(w.timeout))
	}
}
