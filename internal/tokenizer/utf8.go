package tokenizer

import "unicode/utf8"

const replacement = "\uFFFD"

// validPrefix is the length of the longest prefix of b that is whole, valid
// UTF-8.
func validPrefix(b []byte) int {
	if utf8.Valid(b) {
		return len(b)
	}
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// character looks at the character that b begins with: n is the number of
// bytes that belong to it, and whole says whether that is all of it. n is 0
// where b[0] begins no character. The table is Unicode's "Well-Formed UTF-8
// Byte Sequences" (3-7): only the second byte has a range of its own.
func character(b []byte) (n int, whole bool) {
	size, low, high := 0, byte(0x80), byte(0xBF)
	switch c := b[0]; {
	case c < 0x80:
		return 1, true
	case c < 0xC2:
		return 0, false
	case c < 0xE0:
		size = 2
	case c < 0xF0:
		size = 3
		if c == 0xE0 {
			low = 0xA0
		} else if c == 0xED {
			high = 0x9F
		}
	case c < 0xF5:
		size = 4
		if c == 0xF0 {
			low = 0x90
		} else if c == 0xF4 {
			high = 0x8F
		}
	default:
		return 0, false
	}
	for n = 1; n < size; n++ {
		if n == len(b) || b[n] < low || b[n] > high {
			return n, false
		}
		low, high = 0x80, 0xBF
	}
	return size, true
}
