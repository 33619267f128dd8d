package guide

import (
	"bytes"
	"sync"
	"unicode/utf8"
)

// Shared is what the guides of one model and parser share: sets of tokens that
// take a pass over the vocabulary.
type Shared struct {
	Framed bool // the parser's answers come in frames

	once sync.Once
	all  masks
}

type masks struct {
	framed bool
	blank  set // tokens of white space
	silent set // tokens that say nothing: these, and control tokens
	// leading are the tokens that begin with white space.
	leading set
	partial set // tokens that end within a character
	// straddling are the tokens that might end a thought and begin the answer at
	// once: those with a marker's last byte and something behind it.
	straddling []int32
}

func (s *Shared) masks(c *Config) *masks {
	s.once.Do(func() {
		s.all.framed = s.Framed
		n := c.Vocab.Size()
		for _, one := range []*set{&s.all.blank, &s.all.silent, &s.all.leading, &s.all.partial} {
			*one = make(set, (n+31)/32)
		}
		for id := range int32(n) {
			text := c.Vocab.Bytes(id)
			if len(text) == 0 || blank(text) || c.Vocab.IsControl(id) {
				allow(s.all.silent, id)
			}
			if !c.Vocab.IsControl(id) {
				if blank(text) {
					allow(s.all.blank, id)
				}
				if len(text) > 0 && blank(text[:1]) {
					allow(s.all.leading, id)
				}
			}
			if within(text) {
				allow(s.all.partial, id)
			}
			if mayStraddle(text, c.Closes) {
				s.all.straddling = append(s.all.straddling, id)
			}
		}
	})
	return &s.all
}

// within reports whether a text ends within a character.
func within(text []byte) bool {
	for i := len(text) - 1; i >= 0 && i > len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return !utf8.FullRune(text[i:])
		}
	}
	return false
}

func mayStraddle(text []byte, closes []string) bool {
	for _, marker := range closes {
		i := bytes.IndexByte(text, marker[len(marker)-1])
		if i >= 0 && i+1 < len(text) {
			return true
		}
	}
	return false
}

// set has bit i of word i/32 for token i.
type set []uint32

func (s set) into(dst []uint32) {
	for i := range min(len(s), len(dst)) {
		dst[i] |= s[i]
	}
}

func (s set) outOf(dst []uint32) {
	for i := range min(len(s), len(dst)) {
		dst[i] &^= s[i]
	}
}

// meets reports whether the sets have a token in common.
func (s set) meets(other []uint32) bool {
	for i := range min(len(s), len(other)) {
		if s[i]&other[i] != 0 {
			return true
		}
	}
	return false
}

func allow(dst []uint32, id int32) {
	if w := int(id) / 32; id >= 0 && w < len(dst) {
		dst[w] |= 1 << (id % 32)
	}
}

func forbid(dst []uint32, id int32) {
	if w := int(id) / 32; id >= 0 && w < len(dst) {
		dst[w] &^= 1 << (id % 32)
	}
}

// fill allows the first n tokens: the model's vocabulary may be padded.
func fill(dst []uint32, n int) {
	for i := range dst {
		switch {
		case 32*(i+1) <= n:
			dst[i] = ^uint32(0)
		case 32*i < n:
			dst[i] = 1<<(n-32*i) - 1
		default:
			dst[i] = 0
		}
	}
}
