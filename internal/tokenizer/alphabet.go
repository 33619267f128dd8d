package tokenizer

import "unicode/utf8"

// GPT-2's alphabet writes each byte as one visible character: bytes that are
// visible in Latin-1 as themselves, the others as U+0100 and on, in order
// (openai/gpt-2, src/encoder.py, bytes_to_unicode).
var (
	byteRune [256]rune
	runeByte = map[rune]byte{}
)

func init() {
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if visible := b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE; !visible {
			r = next
			next++
		}
		byteRune[b], runeByte[r] = r, byte(b)
	}
}

// appendByteLevel appends the bytes that token spells; a token with any
// character outside of the alphabet stands for itself.
func appendByteLevel(dst []byte, token string) []byte {
	start := len(dst)
	for _, r := range token {
		b, ok := runeByte[r]
		if !ok {
			return append(dst[:start], token...)
		}
		dst = append(dst, b)
	}
	return dst
}

// byteLevel writes bytes in the alphabet.
func byteLevel(b []byte) string {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = utf8.AppendRune(out, byteRune[c])
	}
	return string(out)
}
