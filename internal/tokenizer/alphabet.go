package tokenizer

// GPT-2's alphabet writes each byte as one visible character: bytes that are
// visible in Latin-1 as themselves, the others as U+0100 and on, in order
// (openai/gpt-2, src/encoder.py, bytes_to_unicode).
var alphabet = func() map[rune]byte {
	bytes, next := make(map[rune]byte, 256), rune(0x100)
	for b := range rune(256) {
		if visible := b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE; visible {
			bytes[b] = byte(b)
		} else {
			bytes[next] = byte(b)
			next++
		}
	}
	return bytes
}()

// appendByteLevel appends the bytes that token spells; a token with any
// character outside of the alphabet stands for itself.
func appendByteLevel(dst []byte, token string) []byte {
	start := len(dst)
	for _, r := range token {
		b, ok := alphabet[r]
		if !ok {
			return append(dst[:start], token...)
		}
		dst = append(dst, b)
	}
	return dst
}
