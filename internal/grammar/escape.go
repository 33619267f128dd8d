package grammar

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape reads a string of GBNF.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", fmt.Errorf("a string ends in a backslash")
		}
		if n := digitsOf(s[i]); n > 0 {
			r, err := codePoint(s[i+1:], n)
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			i += n
			continue
		}
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// codePoints writes \xNN, \uNNNN and \UNNNNNNNN as regular expressions have them.
func codePoints(class string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(class); i++ {
		b.WriteByte(class[i])
		if class[i] != '\\' || i+1 == len(class) {
			continue
		}
		i++
		n := digitsOf(class[i])
		if n == 0 {
			b.WriteByte(class[i])
			continue
		}
		r, err := codePoint(class[i+1:], n)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "x{%X}", r)
		i += n
	}
	return b.String(), nil
}

func digitsOf(escape byte) int {
	switch escape {
	case 'x':
		return 2
	case 'u':
		return 4
	case 'U':
		return 8
	}
	return 0
}

func codePoint(s string, digits int) (rune, error) {
	if len(s) < digits {
		return 0, fmt.Errorf("an escape needs %d hexadecimal digits", digits)
	}
	v, err := strconv.ParseUint(s[:digits], 16, 32)
	if err != nil || v > utf8.MaxRune || v >= 0xd800 && v < 0xe000 {
		return 0, fmt.Errorf("%q is no code point", s[:digits])
	}
	return rune(v), nil
}
