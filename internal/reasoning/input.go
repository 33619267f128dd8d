package reasoning

import (
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// input is what a Feed has before it: the bytes held back and the new text, as
// one text with positions from 0.
type input struct {
	held, text string
	off        int // offset of position 0 in the raw text
}

func (in *input) len() int { return len(in.held) + len(in.text) }

// cut is the text between two positions, in the two pieces it lies in.
func (in *input) cut(from, to int) (held, text string) {
	h := len(in.held)
	return in.held[min(from, h):min(to, h)], in.text[max(from-h, 0):max(to-h, 0)]
}

// emit appends the text between two positions.
func (in *input) emit(dst []reasoning.Segment, kind reasoning.Kind, from, to int) []reasoning.Segment {
	held, text := in.cut(from, to)
	start, middle := in.off+from, in.off+from+len(held)
	if held != "" {
		dst = append(dst, reasoning.Segment{Kind: kind, Start: start, End: middle, Text: held})
	}
	if text != "" {
		dst = append(dst, reasoning.Segment{Kind: kind, Start: middle, End: in.off + to, Text: text})
	}
	return dst
}

// match says whether the whole marker is at p, or as much of it as there is text.
func (in *input) match(marker string, p int) (whole, part bool) {
	held, text := in.cut(p, min(p+len(marker), in.len()))
	if !strings.HasPrefix(marker, held) || !strings.HasPrefix(marker[len(held):], text) {
		return false, false
	}
	whole = len(held)+len(text) == len(marker)
	return whole, !whole
}

// first is the first of the markers at p, whole or as far as there is text, ""
// if none is there.
func first(in *input, p int, markers []string) (marker string, whole bool) {
	for _, m := range markers {
		whole, part := in.match(m, p)
		if whole {
			return m, true
		}
		if part {
			marker = m
		}
	}
	return marker, false
}

// find is where the marker is from p on, whole or as far as there is text; the
// end if nowhere.
func find(in *input, p int, marker string) (at int, whole bool) {
	for ; ; p++ {
		if p = in.next(p, marker[:1]); p == in.len() {
			return p, false
		}
		if whole, part := in.match(marker, p); whole || part {
			return p, whole
		}
	}
}

// next is the first position from p on that holds one of the bytes, or the end.
func (in *input) next(p int, bytes string) int {
	held, text := in.cut(p, in.len())
	i := index(held, bytes)
	if i < 0 && text != "" {
		if i = index(text, bytes); i >= 0 {
			i += len(held)
		}
	}
	if i < 0 {
		return in.len()
	}
	return p + i
}

// index is where the first of the bytes is in s, -1 if nowhere.
func index(s, bytes string) int {
	if len(bytes) == 1 {
		return strings.IndexByte(s, bytes[0])
	}
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(bytes, s[i]) >= 0 {
			return i
		}
	}
	return -1
}

// skipLineBreaks is the first position from p on that is not a line feed.
func (in *input) skipLineBreaks(p int) int {
	held, text := in.cut(p, in.len())
	n := len(held) - len(strings.TrimLeft(held, "\n"))
	if n == len(held) {
		n += len(text) - len(strings.TrimLeft(text, "\n"))
	}
	return p + n
}

// skipSpace is the first position from p on that is not ASCII white space.
func (in *input) skipSpace(p int) int {
	held, text := in.cut(p, in.len())
	n := space(held)
	if n == len(held) {
		n += space(text)
	}
	return p + n
}

// space is the length of the ASCII white space that s begins with.
func space(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != ' ' && (c < '\t' || c > '\r') {
			return i
		}
	}
	return len(s)
}
