package server

import (
	"bytes"
	"crypto/rand"
	"unicode/utf8"

	"github.com/reasond/reasond/internal/llm"
)

// frame is the JSON of messages that differ in one text only, which is what
// nearly all of a stream is, or in a text and a mark before it, a number or a
// time. It is made once, and a message is the frame and what differs between. A
// text may have several places in it.
type frame struct {
	before []byte   // what stands before the mark, or the text's first place
	middle []byte   // between mark and text
	behind []byte   // behind the text's first place
	more   [][]byte // behind its further places
}

// frameOf makes the frame of the messages that body makes of texts; it must put
// a text into strings of its own, as it is.
func frameOf(body func(text string) any) *frame {
	gap := rand.Text() // occurs nowhere else
	data, err := marshal(body(gap))
	if err != nil {
		panic(err) // our own types
	}
	parts := bytes.Split(data, []byte(gap))
	return &frame{before: parts[0], behind: parts[1], more: parts[2:]}
}

// markedFrameOf is frameOf where mark stands before the text, and nowhere else, for
// the mark that each message has.
func markedFrameOf(mark string, body func(text string) any) *frame {
	f := frameOf(body)
	var marked bool
	if f.before, f.middle, marked = bytes.Cut(f.before, []byte(mark)); !marked {
		panic("server: a message without its mark") // our own types
	}
	return f
}

// append appends the message with a mark, empty where it has none, and a text.
func (f *frame) append(dst []byte, mark, text string) []byte {
	dst = append(append(append(dst, f.before...), mark...), f.middle...)
	from := len(dst)
	dst = appendText(dst, text)
	to := len(dst)
	dst = append(dst, f.behind...)
	for _, part := range f.more {
		dst = append(dst, dst[from:to]...)
		dst = append(dst, part...)
	}
	return dst
}

// onlyText says that an event is a text and nothing else.
func onlyText(e *llm.Event) bool {
	return (e.Kind == llm.EventReasoning || e.Kind == llm.EventContent) && e.Logprobs == nil && e.ThoughtLogprobs == nil && e.IDs == nil
}

// appendText appends a text as it stands between the quotes of a JSON string:
// the bytes are those of marshal.
func appendText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				dst = append(append(dst, s[start:i]...), `\ufffd`...)
				start = i + n
			case r == '\u2028' || r == '\u2029': // line ends in JavaScript
				dst = append(append(dst, s[start:i]...), '\\', 'u', '2', '0', '2', hex[r&15])
				start = i + n
			}
			i += n
			continue
		}
		if i++; c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i-1]...)
		start = i
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, s[start:]...)
}
