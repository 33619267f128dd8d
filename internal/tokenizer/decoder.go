package tokenizer

// Decoder turns one choice's ids into text, as they come. The text is that of
// decoding all ids at once, however they are cut into Appends: invalid bytes
// become U+FFFD as Python's bytes.decode("utf-8", "replace") has it, one for
// each maximal part of a character. At most three bytes are held back, and
// only when they begin a character. It is not safe for concurrent use.
type Decoder struct {
	vocab       *Vocab
	dropControl bool

	tail  [4]byte // bytes held back: the beginning of a character
	held  int
	text  int // bytes of text given out so far
	strip int // spaces that may still be dropped at the start of the text
}

// NewDecoder starts a choice's text. With dropControl, control tokens give no
// text; parsers whose markers are control tokens need them.
func (v *Vocab) NewDecoder(dropControl bool) *Decoder {
	d := &Decoder{vocab: v, dropControl: dropControl}
	d.Reset()
	return d
}

// Reset makes the decoder new.
func (d *Decoder) Reset() {
	d.held, d.text, d.strip = 0, 0, d.vocab.rule.strip
}

// Continue says that the text goes on from a prompt's own last words, so that
// the space which SentencePiece puts before a text's first word is a space.
func (d *Decoder) Continue() { d.strip = 0 }

// Append appends the text that ids add to dst, and for each id the offset in
// the whole text where the token ends to ends. A token's last byte may still be
// held back; its end then lies inside the character that it will become part
// of. A token that gives no text ends where its predecessor does. Ids outside
// of the vocabulary give no text. Append does not allocate where dst and ends
// have room.
func (d *Decoder) Append(dst []byte, ends []int, ids ...int32) ([]byte, []int) {
	start := len(dst)
	for _, id := range ids {
		if !d.dropControl || !d.vocab.IsControl(id) {
			dst = d.token(dst, id)
		}
		ends = append(ends, d.text+len(dst)-start+d.held)
	}
	d.text += len(dst) - start
	return dst, ends
}

// Next is Append for one id. Of a token that is whole text, as nearly all are,
// the text is the table's: it does not allocate.
func (d *Decoder) Next(id int32) (text string, end int) {
	if d.held == 0 && d.strip == 0 && d.vocab.isText(id) {
		if !d.dropControl || !d.vocab.IsControl(id) {
			text = d.vocab.text(id)
			d.text += len(text)
		}
		return text, d.text
	}
	var buf [64]byte
	var ends [1]int
	bytes, _ := d.Append(buf[:0], ends[:0], id)
	return string(bytes), ends[0]
}

// Close appends what is held back: the beginning of a character that never
// came, so U+FFFD.
func (d *Decoder) Close(dst []byte) []byte {
	if d.held == 0 {
		return dst
	}
	d.held = 0
	d.text += len(replacement)
	return append(dst, replacement...)
}

// Held is the number of bytes held back, 0 to 3.
func (d *Decoder) Held() int { return d.held }

// Decode is the text of a whole sequence of ids.
func (v *Vocab) Decode(ids []int32, dropControl bool) string {
	d := v.NewDecoder(dropControl)
	text, _ := d.Append(nil, nil, ids...)
	return string(d.Close(text))
}

func (d *Decoder) token(dst []byte, id int32) []byte {
	b := d.vocab.Bytes(id)
	if d.strip > 0 {
		b = d.stripped(b)
	}
	if d.held == 0 && d.vocab.isText(id) {
		return append(dst, b...)
	}
	return d.bytes(dst, b)
}

// stripped drops the spaces that SentencePiece put before the text.
func (d *Decoder) stripped(b []byte) []byte {
	for d.strip > 0 && len(b) > 0 && b[0] == ' ' {
		b = b[1:]
		d.strip--
	}
	if len(b) > 0 || d.vocab.rule.stripFirst {
		d.strip = 0
	}
	return b
}

// bytes appends b as text, joined to what is held back.
func (d *Decoder) bytes(dst, b []byte) []byte {
	for d.held > 0 && len(b) > 0 {
		d.tail[d.held] = b[0]
		switch n, whole := character(d.tail[:d.held+1]); {
		case whole:
			dst = append(dst, d.tail[:n]...)
			d.held, b = 0, b[1:]
		case n == d.held+1:
			d.held, b = n, b[1:]
		default: // b[0] does not go on with the character: it is read anew
			dst = append(dst, replacement...)
			d.held = 0
		}
	}
	for len(b) > 0 {
		n := validPrefix(b)
		dst, b = append(dst, b[:n]...), b[n:]
		if len(b) == 0 {
			break
		}
		n, _ = character(b)
		if n == len(b) {
			d.held = copy(d.tail[:], b)
			break
		}
		dst, b = append(dst, replacement...), b[max(n, 1):]
	}
	return dst
}
