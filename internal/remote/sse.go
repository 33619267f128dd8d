package remote

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// sseEvent is one dispatched event. data is valid until the next call.
type sseEvent struct {
	name string // the event field; "error" too for llama-server's error field
	data []byte // the data fields, joined by line feeds
}

// sseReader reads a text/event-stream as the HTML standard defines it (section
// 9.2.6): lines end with CR, LF or CRLF, a colon begins a comment, an empty
// line dispatches, and what no empty line follows is dropped. Memory is bounded
// by limit.
type sseReader struct {
	src   *bufio.Reader
	limit int // bytes of a line, and of an event's data
	line  []byte
	data  []byte
	begun bool // the first line has been read
	cr    bool // the last line ended with CR: a LF that follows belongs to it
}

var errFrameTooLong = errors.New("an event is longer than the limit")

var byteOrderMark = []byte("\xef\xbb\xbf")

func newSSEReader(src io.Reader, limit int) *sseReader {
	return &sseReader{src: bufio.NewReaderSize(src, 16<<10), limit: limit}
}

// next returns the next event that has data. At the end of the stream it
// returns io.EOF, also in the middle of an event.
func (r *sseReader) next() (sseEvent, error) {
	r.data = r.data[:0]
	e, filled := sseEvent{}, false
	for {
		line, err := r.readLine()
		if err != nil {
			return sseEvent{}, err
		}
		if len(line) == 0 {
			if filled {
				e.data = r.data
				return e, nil
			}
			e.name = ""
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.name = string(value)
			continue
		case "error":
			e.name = "error"
		case "data":
		default:
			continue
		}
		if filled {
			r.data = append(r.data, '\n')
		}
		if len(r.data)+len(value) > r.limit {
			return sseEvent{}, errFrameTooLong
		}
		r.data, filled = append(r.data, value...), true
	}
}

// readLine returns a whole line without its end; a line that the stream's end
// cuts is none.
func (r *sseReader) readLine() ([]byte, error) {
	r.line = r.line[:0]
	for {
		c, err := r.src.ReadByte()
		if err != nil {
			return nil, err
		}
		skip := r.cr && c == '\n'
		r.cr = c == '\r'
		switch {
		case skip:
		case c == '\n' || c == '\r':
			if !r.begun {
				r.begun = true
				return bytes.TrimPrefix(r.line, byteOrderMark), nil
			}
			return r.line, nil
		case len(r.line) >= r.limit:
			return nil, errFrameTooLong
		default:
			r.line = append(r.line, c)
		}
	}
}
