package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// rule is how a token's string becomes bytes: what the decoder section of
// tokenizer.json describes.
type rule struct {
	byteLevel    bool              // GPT-2's alphabet: one character a byte
	replace      *strings.Replacer // SentencePiece's ▁ for a space; nil: none
	byteFallback bool              // <0xNN> is one byte
	strip        int               // spaces dropped at the start of the text
	stripFirst   bool              // and only in the first token
}

// decoderPart is a decoder of tokenizer.json.
type decoderPart struct {
	Type     string        `json:"type"`
	Decoders []decoderPart `json:"decoders"`

	Pattern struct{ String string } `json:"pattern"` // Replace
	Content string                  `json:"content"` // Replace, Strip
	Start   int                     `json:"start"`   // Strip
	Stop    int                     `json:"stop"`

	Replacement   string `json:"replacement"` // Metaspace
	PrependScheme string `json:"prepend_scheme"`
	AddPrefix     *bool  `json:"add_prefix_space"` // Metaspace before prepend_scheme
}

// parseRule reads the decoder section. Only decoders that append text are
// supported: byte-level BPE's and SentencePiece's.
func parseRule(raw json.RawMessage) (rule, error) {
	var part decoderPart
	if err := json.Unmarshal(raw, &part); err != nil {
		return rule{}, fmt.Errorf("the decoder: %w", err)
	}
	if part.Type == "" {
		return rule{}, fmt.Errorf("there is no decoder")
	}
	parts := []decoderPart{part}
	if part.Type == "Sequence" {
		parts = part.Decoders
	}
	var r rule
	for _, p := range parts {
		if err := r.add(p); err != nil {
			return rule{}, err
		}
	}
	return r, nil
}

func (r *rule) add(p decoderPart) error {
	switch p.Type {
	case "ByteLevel":
		r.byteLevel = true
	case "ByteFallback":
		r.byteFallback = true
	case "Fuse":
	case "Replace":
		if p.Pattern.String == "" || r.replace != nil {
			return fmt.Errorf("decoder Replace: only one, of a string, is supported")
		}
		r.replace = strings.NewReplacer(p.Pattern.String, p.Content)
	case "Strip":
		if p.Content != " " || p.Stop != 0 || p.Start < 0 {
			return fmt.Errorf("decoder Strip: only spaces at the start are supported")
		}
		r.strip = p.Start
	case "Metaspace":
		r.replace = strings.NewReplacer(p.Replacement, " ")
		if p.PrependScheme != "never" && (p.AddPrefix == nil || *p.AddPrefix) {
			r.strip, r.stripFirst = math.MaxInt, true
		}
	default:
		return fmt.Errorf("decoder %q is not supported", p.Type)
	}
	return nil
}

// append appends the bytes of a token of the model's own vocabulary.
func (r *rule) append(dst []byte, token string) []byte {
	if r.byteLevel {
		return appendByteLevel(dst, token)
	}
	if b, ok := fallbackByte(token); ok && r.byteFallback {
		return append(dst, b)
	}
	if r.replace != nil {
		token = r.replace.Replace(token)
	}
	return append(dst, token...)
}

// changes says whether the rule would not leave a text as it is.
func (r *rule) changes(token string) bool {
	return r.strip > 0 && token[0] == ' ' || string(r.append(nil, token)) != token
}

// fallbackByte reads <0xNN>.
func fallbackByte(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}
